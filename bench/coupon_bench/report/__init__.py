"""The reports: Markdown, and one HTML page with its plots inside."""

#include "report/text_table.hpp"

#include <algorithm>

namespace coupon_race {

namespace {

constexpr char gap[] = "  ";

std::vector<std::size_t> column_widths(const std::vector<std::vector<cell>> &rows) {
    std::vector<std::size_t> widths;
    for (const auto &row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t column = 0; column < row.size(); ++column)
            widths[column] = std::max(widths[column], row[column].text.size());
    }
    return widths;
}

} // namespace

std::string render_table(const std::vector<std::vector<cell>> &rows, bool colour) {
    const std::vector<std::size_t> widths = column_widths(rows);
    std::string table;
    for (const auto &row : rows) {
        for (std::size_t column = 0; column < row.size(); ++column) {
            const bool last = column + 1 == row.size();
            const std::string padding(widths[column] - row[column].text.size(), ' ');
            const std::string text = styled(row[column].text, row[column].look, colour);
            if (column > 0)
                table += gap;
            if (last)
                table += text;
            else
                table += column == 0 ? text + padding : padding + text;
        }
        table += '\n';
    }
    return table;
}

} // namespace coupon_race

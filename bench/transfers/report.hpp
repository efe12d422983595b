/// What came of the sales, as Markdown: the table of docs/scale.md and its charts.
#pragma once

#include <string>
#include <vector>

#include "shop.hpp"

namespace transfers {

struct sale {
    std::string buyers; ///< where they are
    std::string rule;
    result came;
};

void print_heading();
void print_row(sale &of);

/// Of the sales to these buyers: how late the last unit was, and how many transfers it took.
void print_charts(const std::vector<sale> &sales, const std::string &buyers, seconds alone);

} // namespace transfers

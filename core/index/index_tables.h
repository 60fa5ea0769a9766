// The tables that make up an index, for copying one into another.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "stagefs/staging_index.h"

namespace stagefs {

struct IndexTable {
  const char* name;
  size_t keys;                            // So many of the columns, the first ones.
  std::vector<std::string_view> columns;  // Those that are text begin with '.', bytes with '#'; others are numbers.
  const char* where = "";                 // Rows of others are left out.

  // The statements; kept, as connections keep them by address.
  std::string first_page = {}, next_page = {}, insert = {};
  std::string copy = {};  // COPY's, in binary: PostgreSQL's.

  static const IndexTable& At(size_t table);
  bool IsText(size_t column) const { return columns[column][0] == '.'; }
  bool IsNumber(size_t column) const { return columns[column][0] != '.' && columns[column][0] != '#'; }
};

// As a literal of SQL.
std::string SqlText(std::string_view text);

}  // namespace stagefs

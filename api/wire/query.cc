#include "query.h"

#include <algorithm>
#include <charconv>

namespace stagefs {
namespace {

Result<PageView> ReadPage(const RequestTarget& target, int64_t size_otherwise) {
  PageView page;
  STAGEFS_ASSIGN_OR_RETURN(const int64_t number, QueryNumber(target, "page", 1));
  STAGEFS_ASSIGN_OR_RETURN(page.size, QueryNumber(target, "page_size", size_otherwise));
  page.number = std::max<int64_t>(1, number);
  if (page.size > 0 && page.size <= kPageSizeMax && page.number <= INT32_MAX) return page;
  return Error(ErrorCode::kInvalidArgument, "there is no such page");
}

}  // namespace

Result<bool> QueryFlag(const RequestTarget& target, const std::string& name, bool otherwise) {
  const auto found = target.query.find(name);
  if (found == target.query.end()) return otherwise;
  if (found->second == "true") return true;
  if (found->second == "false") return false;
  return Error(ErrorCode::kInvalidArgument, name + " is `true` or `false`");
}

std::string QueryText(const RequestTarget& target, const std::string& name) {
  const auto found = target.query.find(name);
  return found == target.query.end() ? "" : found->second;
}

Result<int64_t> QueryNumber(const RequestTarget& target, const std::string& name, int64_t otherwise) {
  const auto found = target.query.find(name);
  if (found == target.query.end()) return otherwise;
  int64_t value = 0;
  const char* end = found->second.data() + found->second.size();
  const auto parsed = std::from_chars(found->second.data(), end, value);
  if (parsed.ec == std::errc() && parsed.ptr == end && value >= 0) return value;
  return Error(ErrorCode::kInvalidArgument, name + " is a whole number from 0");
}

OrRefusal<PageView> QueryPage(const RequestTarget& target, int64_t size_otherwise) {
  return Try(ReadPage(target, size_otherwise)).OnAny([] {
    return BadRequest("page counts from 1 and page_size from 1 to 10000");
  });
}

}  // namespace stagefs

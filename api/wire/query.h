// Parameters of a request's query. Those that are not sent are as `otherwise` says.
#pragma once

#include <cstdint>
#include <string>

#include "refusal.h"
#include "stagefs/uri.h"
#include "views.h"

namespace stagefs {

constexpr int64_t kPageSizeMax = 10'000;

// `true` or `false`, and nothing else.
Result<bool> QueryFlag(const RequestTarget& target, const std::string& name, bool otherwise);
// "" where it was not sent.
std::string QueryText(const RequestTarget& target, const std::string& name);
// A whole number from 0.
Result<int64_t> QueryNumber(const RequestTarget& target, const std::string& name, int64_t otherwise);
// `page` and `page_size`. Page 0 is how Oxen's command line asks for the first one.
OrRefusal<PageView> QueryPage(const RequestTarget& target, int64_t size_otherwise);

}  // namespace stagefs

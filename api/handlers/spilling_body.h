// A body of any length, written piece by piece.
#pragma once

#include <string>
#include <string_view>

#include "stagefs/posix_env.h"
#include "wire/http_message.h"

namespace stagefs {

// What is longer than kBodyInMemoryMax goes through an unnamed file in `folder`.
class SpillingBody {
 public:
  static constexpr size_t kBodyInMemoryMax = 1 << 20;

  explicit SpillingBody(std::string folder) : folder_(std::move(folder)) {}
  Status Write(std::string_view text);
  Result<HttpResponse> Finish(unsigned status);

 private:
  Status Flush();

  const std::string folder_;
  std::string memory_;
  UniqueFd spill_;
  uint64_t written_ = 0;
};

}  // namespace stagefs

#include "http_options.h"

#include <arpa/inet.h>

#include <charconv>

namespace stagefs {

Result<HttpOptions> HttpOptions::ParseListen(const std::string& text) {
  const auto bad = [&] {
    return Error(ErrorCode::kInvalidArgument,
                 "--listen " + text + ": write ADDRESS:PORT, [V6ADDRESS]:PORT, or :PORT for loopback");
  };
  HttpOptions options;
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return bad();
  std::string address = text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  if (address == "localhost") address = "127.0.0.1";
  if (!address.empty()) options.address = address;
  // As inet_ntop writes it: whether it is loopback is seen by its text.
  in6_addr six{};
  char text_of_six[INET6_ADDRSTRLEN];
  if (inet_pton(AF_INET6, options.address.c_str(), &six) == 1) {
    options.address = inet_ntop(AF_INET6, &six, text_of_six, sizeof text_of_six);
  }
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, options.port);
  if (parsed.ec != std::errc() || parsed.ptr != end) return bad();
  return options;
}

}  // namespace stagefs

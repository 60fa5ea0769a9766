// Sockets that wait for clients.
#pragma once

#include <cstdint>
#include <string>

#include "stagefs/posix_env.h"

namespace stagefs {

// On an IP address; `port` 0 takes any free one. `bound` is the port it has then.
// Errors: kBusy if the port is in use; kInvalidArgument if `address` is none.
Result<UniqueFd> ListenOn(const std::string& address, uint16_t port, uint16_t* bound);

}  // namespace stagefs

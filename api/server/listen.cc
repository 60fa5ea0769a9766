#include "listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

namespace stagefs {
namespace {

// An address of either family, as the system calls take it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  sockaddr_in* v4() { return reinterpret_cast<sockaddr_in*>(&storage); }
  sockaddr_in6* v6() { return reinterpret_cast<sockaddr_in6*>(&storage); }
  uint16_t port() { return ntohs(storage.ss_family == AF_INET ? v4()->sin_port : v6()->sin6_port); }
};

Result<SocketAddress> ParseAddress(const std::string& address, uint16_t port) {
  SocketAddress parsed;
  if (inet_pton(AF_INET, address.c_str(), &parsed.v4()->sin_addr) == 1) {
    parsed.v4()->sin_family = AF_INET;
    parsed.v4()->sin_port = htons(port);
    parsed.size = sizeof(sockaddr_in);
  } else if (inet_pton(AF_INET6, address.c_str(), &parsed.v6()->sin6_addr) == 1) {
    parsed.v6()->sin6_family = AF_INET6;
    parsed.v6()->sin6_port = htons(port);
    parsed.size = sizeof(sockaddr_in6);
  } else {
    return Error(ErrorCode::kInvalidArgument, address + " is not an IP address");
  }
  return parsed;
}

}  // namespace

Result<UniqueFd> ListenOn(const std::string& address, uint16_t port, uint16_t* bound) {
  STAGEFS_ASSIGN_OR_RETURN(SocketAddress at, ParseAddress(address, port));
  UniqueFd fd(socket(at.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const std::string where = address + " port " + std::to_string(port);
  if (bind(fd.get(), at.get(), at.size) != 0) {
    if (errno == EADDRINUSE) {
      return Error(ErrorCode::kBusy, where + " is in use: choose another port, or 0 for any free one");
    }
    return ErrnoError("listen on " + where);
  }
  if (listen(fd.get(), SOMAXCONN) != 0) return ErrnoError("listen on " + where);
  if (getsockname(fd.get(), at.get(), &at.size) != 0) return ErrnoError("getsockname");
  *bound = at.port();
  return fd;
}

}  // namespace stagefs

#define FUSE_USE_VERSION 312
#include "fuse_killpriv.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace stagefs {

#ifdef FUSE_CAP_HANDLE_KILLPRIV_V2

void OfferKillpriv(fuse_session*) {}
void WantKillpriv(fuse_conn_info* connection) {
  connection->want |= connection->capable & FUSE_CAP_HANDLE_KILLPRIV_V2;
}

#else

namespace {

// The INIT request that waits for its answer, if the kernel knows the flag; 0: none. One mount a process.
std::atomic<uint64_t> init_unique{0};

ssize_t ReadRequest(int fd, void* buffer, size_t size, void*) {
  const ssize_t got = read(fd, buffer, size);
  fuse_in_header header;
  fuse_init_in init;
  if (got < static_cast<ssize_t>(sizeof header + sizeof init)) return got;
  std::memcpy(&header, buffer, sizeof header);
  if (header.opcode != FUSE_INIT) return got;
  std::memcpy(&init, static_cast<const char*>(buffer) + sizeof header, sizeof init);
  init_unique = (init.flags & FUSE_HANDLE_KILLPRIV_V2) != 0 ? header.unique : 0;
  return got;
}

ssize_t WriteAnswer(int fd, iovec* parts, int count, void*) {
  if (const uint64_t unique = init_unique.load(std::memory_order_relaxed); unique != 0) {
    fuse_out_header header;
    std::memcpy(&header, parts[0].iov_base, sizeof header);
    constexpr size_t kFlags = offsetof(fuse_init_out, flags);
    if (header.unique == unique && header.error == 0 && count > 1 &&
        parts[1].iov_len >= kFlags + sizeof(uint32_t)) {
      char* const flags_at = static_cast<char*>(parts[1].iov_base) + kFlags;
      uint32_t flags = 0;
      std::memcpy(&flags, flags_at, sizeof flags);
      flags |= FUSE_HANDLE_KILLPRIV_V2;
      std::memcpy(flags_at, &flags, sizeof flags);
      init_unique = 0;
    }
  }
  return writev(fd, parts, count);
}

ssize_t Splice(int from, off_t* from_offset, int to, off_t* to_offset, size_t size, unsigned flags, void*) {
  return splice(from, from_offset, to, to_offset, size, flags);
}

}  // namespace

void OfferKillpriv(fuse_session* session) {
  const fuse_custom_io io{WriteAnswer, ReadRequest, Splice, Splice};
  (void)fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

void WantKillpriv(fuse_conn_info*) {}

#endif

}  // namespace stagefs

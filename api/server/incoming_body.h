// The body of a request while it arrives.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "stagefs/byte_source.h"
#include "stagefs/compression.h"
#include "stagefs/posix_env.h"

namespace stagefs {

// What is longer than kInMemoryMax goes to an unnamed file, so that a slow client holds no memory and no
// lock.
class IncomingBody {
 public:
  static constexpr size_t kInMemoryMax = 1 << 20;

  // Of what is longer than `bytes_max` nothing is kept. Trouble is told by Finish().
  void Add(const char* data, size_t size, const std::string& folder, uint64_t bytes_max);
  uint64_t received() const { return received_; }
  bool too_large() const { return too_large_; }

  // The same with what `packed` unpacks to, at most `bytes_max`. Errors: those of NewUnpackedSource() and Finish().
  Status AddUnpacked(ByteSource& packed, Compression compression, const std::string& folder, uint64_t bytes_max);

  // The whole of it, once it is there; outlived by this.
  Result<std::unique_ptr<RewindableSource>> Finish();

 private:
  Status Spill(const std::string& folder);

  std::string memory_;
  UniqueFd spool_;
  uint64_t received_ = 0;
  bool too_large_ = false;
  Status trouble_;
};

}  // namespace stagefs

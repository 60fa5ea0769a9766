// Room on the disk for what makes room.
#pragma once

#include <string>

#include "stagefs/result.h"

namespace stagefs {

// A full disk has no room for the rows that say what is removed, nor for a process that wants to remove something. So a
// repository keeps pieces of kReservePieceBytes each, and as many inodes, in reserve/ in its folder. Who needs them
// removes one after the other; whoever opens or closes the repository, or syncs it, makes them anew as far as they fit,
// in a sixteenth of a small disk.
constexpr int kReservePieces = 16;
constexpr off_t kReservePieceBytes = 256 << 10;
constexpr off_t kReserveShareOfDisk = 16;

// What fits of the pieces that are missing.
void MakeReserve(const std::string& folder);
// Removes one piece. Whether there was one.
bool GiveFromReserve(const std::string& folder);

// Does `work`, and again after each piece while it fails with kNoSpace. For what opens a repository, or frees room.
template <class Work>
auto WithReserve(const std::string& folder, Work work) -> decltype(work()) {
  for (int given = 0;; ++given) {  // Others may make pieces anew meanwhile.
    auto done = work();
    const bool full = !done && done.error().code() == ErrorCode::kNoSpace;
    if (!full || given == kReservePieces || !GiveFromReserve(folder)) return done;
  }
}

}  // namespace stagefs

// Versions that arrive in pieces: each piece is kept until all are there, then they become one version.
//
// An upload is a folder REPOSITORY/uploads/KEY with one file a piece, named by the offset it belongs to in 20
// decimal digits. A piece gets its name once it is whole, so a killed process leaves whole pieces. An upload
// that was begun with a plan keeps it in the file `plan`:
//
//   CLAIMED-HASH LF SIZE LF PIECE-SIZE LF WORKSPACE LF PATH-IN-HEX LF
//
// Uploads survive a restart, also one while they are completed. gc removes those that nobody touched for
// kUploadKeepHours.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "stagefs/repository.h"

namespace stagefs {

constexpr int64_t kUploadKeepHours = 48;
constexpr uint64_t kUploadBytesMax = 1ULL << 40;

struct UploadPlan {
  std::string hash;  // As claimed.
  uint64_t size_bytes = 0;
  uint64_t piece_bytes = 0;  // Of each piece but the last.
  std::string workspace;     // Where to stage it, or "".
  std::string path;
  uint64_t pieces() const { return (size_bytes + piece_bytes - 1) / piece_bytes; }
};

// Safe for concurrent use, also by several processes. Outlived by the repository.
class Uploads {
 public:
  explicit Uploads(Repository& repository);

  // Starts an upload and returns its key. kTooLarge beyond kUploadBytesMax.
  Result<std::string> Begin(const UploadPlan& plan);
  // kNotFound if there is no such upload, or it is complete.
  Result<UploadPlan> PlanOf(const std::string& key);

  // The key of an upload that nobody begins: its pieces name the version they are for.
  static std::string KeyOf(const HashRef& hash);

  // Keeps `source`, `size_bytes` long, as the piece at `offset`; a piece sent again replaces the earlier one.
  // With `begin` the first piece starts the upload; without it, kNotFound if there is none.
  Status PutPiece(const std::string& key, uint64_t offset, ByteSource& source, bool begin);

  struct Piece {
    uint64_t offset = 0, size_bytes = 0;
  };
  // In order of offset.
  Result<std::vector<Piece>> Pieces(const std::string& key);

  // Makes one version of the pieces, which are gone afterwards. It survives power loss. Of several callers
  // one succeeds and the others get kNotFound.
  // Errors: kInvalidArgument if pieces are missing or overlap (they stay, to be completed), or if the bytes
  // do not hash to `claimed` (they are gone); kNoSpace and kIo (they stay).
  Result<VersionInfo> Complete(const std::string& key, const HashRef& claimed);

  Status Drop(const std::string& key);
  // What processes that are dead were completing is there again, to be completed. `lives` knows a process by the name
  // of its folder in incoming/.
  Status GiveBackOfDead(const std::function<bool(const std::string& instance)>& lives);
  // Removes what nobody touched since `before_ns`. Returns how many.
  Result<int64_t> RemoveStale(int64_t before_ns);

 private:
  std::string FolderOf(const std::string& key) const { return folder_ + '/' + key; }

  Repository& repository_;
  const std::string folder_;
};

}  // namespace stagefs

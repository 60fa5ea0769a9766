// How one path is changed, and what came of it.
#pragma once

#include <cstdint>
#include <optional>

#include "stagefs/staging_index.h"

namespace stagefs {

enum class Origin {
  kNamed,    // A manifest, link, HTTP or command named this path: taken literally.
  kWritten,  // Something was written or renamed under this name: it may be scratch.
};

// How to stage one file.
struct StageHow {
  Origin origin = Origin::kNamed;
  bool update_timestamp = false;
  std::optional<int64_t> mtime_ns;  // Default: when the version was stored.
  std::optional<FileMode> mode;     // Default: as the path has it.
  bool exclusive = false;           // kExists if there is something at the path already.
  bool keep_mtime = false;          // Content unchanged: keep `mtime_ns` in the workspace all the same.
  bool brings = false;              // The version comes with this change; else who stages it wants it (IsWanted()).
  VersionId grown_from = 0;  // What the file grew out of by writes in place or appends, which is not taken back.
  // Staging a file: kExists unless the path holds this version; 0: nothing.
  std::optional<VersionId> only_over;
  std::chrono::milliseconds wait_max = Turn::kWaitMax;  // For a turn; then kBusy.
};

enum class StageOutcome { kAdded, kModified, kUnchanged, kScratch };

struct StagedFile {
  StageOutcome outcome = StageOutcome::kUnchanged;
  Entry entry;
  bool brought = false;  // Its version is new.
};

enum class RenameMode { kReplace, kNoReplace, kExchange };

}  // namespace stagefs

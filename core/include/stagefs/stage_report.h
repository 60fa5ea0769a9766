// What became of a manifest: how many entries were staged, and which were refused and why.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "stagefs/result.h"
#include "stagefs/text.h"

namespace stagefs {

// An entry that is not staged: refused, or replaced by a later one for the same path.
struct RefusedEntry {
  std::string hash;    // As sent.
  std::string path;    // As sent.
  std::string reason;  // For people.
  ErrorCode code = ErrorCode::kInvalidArgument;
  int64_t number = 0;  // As ManifestEntry has it; 0 where there is none.
};

// Refused entries in order. Kept in memory up to 1 MiB, beyond that in an unnamed file of `folder`, so that a
// manifest of millions of bad lines is reported in full within bounded memory. For one thread at a time.
class RefusedEntries {
 public:
  explicit RefusedEntries(std::string folder);
  ~RefusedEntries();
  RefusedEntries(RefusedEntries&&) noexcept;
  RefusedEntries& operator=(RefusedEntries&&) noexcept;

  Status Append(const RefusedEntry& entry);
  int64_t size() const { return size_; }
  Status ForEach(const std::function<Status(const RefusedEntry&)>& visit) const;

 private:
  std::string folder_;
  std::string buffer_;
  int spill_fd_ = -1;
  uint64_t spilled_bytes_ = 0;
  int64_t size_ = 0;
};

struct StageReport {
  explicit StageReport(const std::string& spill_folder) : refused(spill_folder), replaced(spill_folder) {}

  std::string directory;
  bool atomic = false;
  bool update_timestamp = false;
  bool dry_run = false;         // Nothing was staged; all else is as if it were.
  bool counts_entries = false;  // The numbers of `refused` are those of entries, not of lines.
  std::string columns;  // Of a table: which count, where more than one fits; else empty.
  int64_t entries = 0;  // added + modified + unchanged + refused + replaced
  int64_t added = 0;
  int64_t modified = 0;
  int64_t unchanged = 0;
  RefusedEntries refused;
  RefusedEntries replaced;
  int64_t finished_ns = 0;

  // Atomic and something refused: nothing was staged, and the counts say what would have been.
  bool Withdrawn() const { return atomic && refused.size() > 0; }
};

// The report as JSON text, in pieces. `path` is UTF-8 with U+FFFD where the bytes were not; then
// `path_base64` has them exactly. Example (in one line):
//   {"directory":"data","atomic":false,"update_timestamp":false,"dry_run":false,"withdrawn":false,
//    "finished":"2026-…Z","entries":3,"added":2,"modified":0,"unchanged":0,"replaced":0,"refused":1,
//    "refused_entries":[{"line":3,"hash":"00","path":"c","code":"not_found","reason":"version 00: no such version"}],
//    "replaced_entries":[]}
// `columns` is there where more than one column of a table fits. In JSON it is "entry":3.
Status WriteReportJson(const StageReport& report, const std::function<Status(std::string_view)>& write);

// "line", or "entry" where that is what is counted.
const char* PlaceWord(bool counts_entries);

}  // namespace stagefs

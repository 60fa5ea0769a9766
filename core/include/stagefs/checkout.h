// A revision as ordinary files in a folder, without a mount.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "stagefs/repository.h"
#include "stagefs/revision.h"

namespace stagefs {

// In the top of such a folder: what was checked out there (core/history/checkout_state.h). While files are written
// others have names that begin with this and a '~'.
constexpr std::string_view kCheckoutStateFile = ".stagefs-checkout";

// How many of a folder's own changes are named, where they are in the way.
constexpr size_t kOwnChangesNamed = 20;

struct CheckoutRequest {
  Revision revision;   // No workspace, which changes.
  RepoPath path;       // A folder of it, whose files come right into `folder`, or one file.
  std::string folder;  // Made where there is none.
  std::string root;    // Of the repositories: `folder` is neither in it nor around it.
  bool link = false;   // Hard links to the store's own files, read-only, instead of files with times and modes.
  bool force = false;  // Own changes of the folder are lost where they are in the way.
};

struct CheckedOut {
  int64_t files = 0;    // Of the revision: all of them are there now,
  uint64_t bytes = 0;   // and have so many bytes,
  int64_t written = 0;  // of which so many were not as they are.
  int64_t removed = 0;  // Files of what was checked out there before.
  bool has_state_file = false;  // The revision has a file called kCheckoutStateFile, which was left out.
};

// Makes `folder` hold the revision's files, each with the time of its entry, 0644 or 0755 less the umask, and bytes
// that were hashed while they came. By reflink where the disk can. It may be there, and hold an earlier checkout of the
// same repository and path, whole or cut off: then only what differs is written, files that the revision has not are
// removed, and folders left empty. Other files that are not in the way stay.
//
// A file that is neither as the revision has it nor as what was checked out there before is an own change, as is
// anything else at the path of a file or folder: kConflict, which lists them, and nothing is changed.
//
// When it returns OK the files survive power loss. Whatever else it returns, also after a kill, each file is as it was
// before or as the revision has it, and the same call goes on from there. No symbolic link below `folder` is followed,
// and nothing on another disk is touched.
//
// Takes time for each file of the revision, and for the bytes of those that are written or have an unexpected time;
// memory for each file that is written or removed.
//
// Errors: kConflict also for a folder that holds something else; kNotFound for a path that the revision has not;
// kInvalidArgument for a folder where none can be checked out; kNotDirectory; kBusy while another checkout is at work
// there; kCrossDevice and kUnsupported where there can be no links; kCorrupt for a damaged version; kNoSpace;
// kReadOnly; kPermission; kIo; kInterrupted (interruption.h).
Result<CheckedOut> Checkout(Repository& repository, const CheckoutRequest& request);

}  // namespace stagefs

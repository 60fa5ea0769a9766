// What has to be done to a folder so that it holds a revision, and what of its own would be lost.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "checkout_folder.h"
#include "stagefs/checkout.h"

namespace stagefs {

constexpr int64_t kSeenAnyTime = -1;

// A file or symbolic link of the revision that is not as it should be.
struct CheckoutFile {
  enum class Need : uint8_t {
    kNothing,
    kBytes,     // To be written.
    kMetadata,  // Has the right bytes, and another time or mode.
  };
  std::string name;
  size_t folder = 0;  // In CheckoutPlan::folders.
  VersionId version = 0;
  std::string target;  // Of a symbolic link, which has no version.
  uint64_t size_bytes = 0;
  int64_t mtime_ns = 0;
  // When what is there was changed last (st_ctime). 0: nothing is there; kSeenAnyTime: something that has other names.
  int64_t seen_ns = 0;
  Need need = Need::kBytes;
  bool executable = false;
  bool is_folder = false;  // What is there.
};

struct CheckoutPlan {
  std::vector<std::string> folders;  // Of the revision, those above first; "" is the first.
  std::vector<CheckoutFile> files;   // In order, as the folders.
  struct Removal {
    std::string path;
    int64_t seen_ns = 0;
  };
  std::vector<Removal> removals;
  // Folders that may be empty then: of all files that the revision has not, also where these are gone already.
  std::set<std::string, std::greater<>> left;
  std::set<std::string> blockers;  // What is in the place of a folder.

  int64_t files_total = 0;
  uint64_t bytes_total = 0;
  int64_t bytes_needed = 0;  // More than are free again, if all is copied.
  bool has_state_file = false;

  // Changes of the folder's own that this would undo, the first ones by name.
  int64_t own_changes = 0;
  std::vector<std::string> own_paths;
};

// What may be known of the files that are there.
struct CheckoutBefore {
  // Each file is as one of these has it, or as the new one, unless somebody changed it.
  std::vector<Revision> revisions;
  bool are_links = false;     // Some may be links to the store's files.
  bool trusts_times = false;  // Whose size and time are right has the right bytes.
  bool lost_power = false;    // What was written may have its time, and not its bytes.
  bool lost_bytes = false;    // The disk may not have what memory shows: all is written anew.
};

// As one that changes nothing. kInvalidArgument where another disk is mounted in the folder.
Result<CheckoutPlan> PlanCheckout(Repository& repository, const CheckoutRequest& request, const CheckoutBefore& before,
                                  CheckoutFolder& folder);

// Whether a version is written to files of this machine, several at a time.
size_t CheckoutThreads(Repository& repository);

}  // namespace stagefs

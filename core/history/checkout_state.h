// What a folder says of what was checked out into it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stagefs/repo_path.h"

namespace stagefs {

// In .stagefs-checkout, at the top of the folder; a JSON object in one line:
//
//   {"repository":"team/images","commit":"9f2c…","path":"train","link":false,"complete":true,"from":[],"boot":""}
//
// `path_base64` is there besides where the path is not UTF-8. Members that a reader does not know count for nothing,
// those that are missing are empty. It is replaced by another file, durably: before the first file of the folder is
// changed, and when all are written and synced.
struct CheckoutState {
  std::string repository, commit;
  std::string path, path_base64;  // As JSON has them: shown, and compared.
  bool link = false;
  // False while a checkout is at work, and when it was cut off: then each file is as `commit` has it, or as one of
  // those in `from`, which were there before.
  bool complete = false;
  std::vector<std::string> from;
  // While that is so: the boot in which files are written. In another one they may have their times and not their
  // bytes. Empty: bytes may be missing in any case.
  std::string boot;

  static CheckoutState Of(const std::string& repository, const std::string& commit, const RepoPath& path);
  bool IsOfSame(const CheckoutState& other) const {
    return repository == other.repository && path == other.path && path_base64 == other.path_base64;
  }

  // std::nullopt where there is none. kCorrupt for a file that is none.
  static Result<std::optional<CheckoutState>> Read(int folder);
  // By way of `temporary`, a name in the folder.
  Status Write(int folder, const std::string& temporary) const;
};

}  // namespace stagefs

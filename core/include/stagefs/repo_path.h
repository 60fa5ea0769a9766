// Paths and names as core knows them. RepoPath::Parse is the only way a path enters core.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "stagefs/result.h"
#include "stagefs/text.h"

namespace stagefs {

constexpr size_t kNameBytesMax = 255;
constexpr size_t kPathBytesMax = 4096;

// The control folder at the root of a mount. It is never staged.
constexpr std::string_view kControlFolder = ".stagefs";

// OK if `name` can be one directory entry: 1 to kNameBytesMax bytes, no '/', no NUL, not "." or "..".
Status CheckEntryName(std::string_view name);

// What Linux takes for a symbolic link's target (PATH_MAX less the NUL at its end).
constexpr size_t kLinkTargetBytesMax = 4095;
// OK if a symbolic link can lead there: 1 to kLinkTargetBytesMax bytes, no NUL.
Status CheckLinkTarget(std::string_view target);

// A path inside a workspace's tree, in bytes (UTF-8 is usual and not required).
//
// INVARIANT: relative; components separated by one '/'; no empty, "." or ".." component; no NUL; each
// component at most kNameBytesMax bytes, the whole at most kPathBytesMax; the first component is not
// `.stagefs`. The root is the empty path.
class RepoPath {
 public:
  // The root.
  RepoPath() = default;

  // The path `raw` names. Empty and "." components are dropped.
  //
  // Errors: kInvalidArgument for an absolute path, "..", NUL, `.stagefs`, or nothing left; kNameTooLong.
  static Result<RepoPath> Parse(std::string_view raw);

  // As Parse(), but nothing left is the root.
  static Result<RepoPath> ParseDirectory(std::string_view raw);

  bool is_root() const { return path_.empty(); }
  const std::string& str() const { return path_; }

  // REQUIRES: !is_root().
  RepoPath parent() const;
  std::string_view name() const;

  std::vector<std::string_view> components() const;

  // This path followed by `below`.
  Result<RepoPath> Join(const RepoPath& below) const;

  auto operator<=>(const RepoPath&) const = default;

 private:
  explicit RepoPath(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

// FOLDER/NAME; the root is "".
std::string JoinPath(const std::string& folder, const std::string& name);

// Whether `path` is `top` or lies in it; everything lies in the root, which is "".
bool IsAtOrBelow(std::string_view path, std::string_view top);

}  // namespace stagefs

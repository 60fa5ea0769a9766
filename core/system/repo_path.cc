#include "stagefs/repo_path.h"

#include <algorithm>
#include <cassert>

namespace stagefs {
namespace {

Error Refuse(std::string_view raw, const std::string& why, ErrorCode code = ErrorCode::kInvalidArgument) {
  return Error(code, "path '" + ToDisplayUtf8(raw.substr(0, 200)) + "' " + why);
}

}  // namespace

Status CheckEntryName(std::string_view name) {
  if (name.empty() || name == "." || name == "..") return Refuse(name, "is not a file name");
  if (name.find('/') != std::string_view::npos) return Refuse(name, "has a '/' in a file name");
  if (name.find('\0') != std::string_view::npos) return Refuse(name, "contains a NUL byte");
  if (name.size() > kNameBytesMax) {
    return Refuse(name, "has a component over 255 bytes", ErrorCode::kNameTooLong);
  }
  return {};
}

Status CheckLinkTarget(std::string_view target) {
  const auto refuse = [&](const std::string& why, ErrorCode code) {
    return Error(code, "the link's target '" + ToDisplayUtf8(target.substr(0, 200)) + "' " + why);
  };
  if (target.empty()) return refuse("is empty", ErrorCode::kInvalidArgument);
  if (target.find('\0') != std::string_view::npos) return refuse("contains a NUL byte", ErrorCode::kInvalidArgument);
  if (target.size() > kLinkTargetBytesMax) return refuse("is over 4,095 bytes", ErrorCode::kNameTooLong);
  return {};
}

Result<RepoPath> RepoPath::ParseDirectory(std::string_view raw) {
  if (raw.starts_with('/')) return Refuse(raw, "is absolute: give it relative to the workspace");
  std::string path;
  for (size_t begin = 0; begin <= raw.size();) {
    const size_t end = std::min(raw.find('/', begin), raw.size());
    const std::string_view component = raw.substr(begin, end - begin);
    begin = end + 1;
    if (component.empty() || component == ".") continue;
    if (component == "..") return Refuse(raw, "contains '..'");
    STAGEFS_RETURN_IF_ERROR(CheckEntryName(component));
    if (path.empty() && component == kControlFolder) {
      return Refuse(raw, "lies in the control folder .stagefs, which is never staged");
    }
    if (!path.empty()) path += '/';
    path += component;
  }
  if (path.size() > kPathBytesMax) {
    return Refuse(raw, "is longer than 4096 bytes", ErrorCode::kNameTooLong);
  }
  return RepoPath(std::move(path));
}

Result<RepoPath> RepoPath::Parse(std::string_view raw) {
  STAGEFS_ASSIGN_OR_RETURN(RepoPath path, ParseDirectory(raw));
  if (path.is_root()) return Refuse(raw, "is empty after normalization");
  return path;
}

RepoPath RepoPath::parent() const {
  assert(!is_root());
  const size_t slash = path_.rfind('/');
  return RepoPath(slash == std::string::npos ? "" : path_.substr(0, slash));
}

std::string_view RepoPath::name() const {
  assert(!is_root());
  const size_t slash = path_.rfind('/');
  return std::string_view(path_).substr(slash == std::string::npos ? 0 : slash + 1);
}

std::vector<std::string_view> RepoPath::components() const {
  std::vector<std::string_view> components;
  for (size_t begin = 0; begin < path_.size();) {
    const size_t end = std::min(path_.find('/', begin), path_.size());
    components.push_back(std::string_view(path_).substr(begin, end - begin));
    begin = end + 1;
  }
  return components;
}

Result<RepoPath> RepoPath::Join(const RepoPath& below) const {
  if (is_root()) return below;
  if (below.is_root()) return *this;
  std::string joined = path_ + '/' + below.path_;
  if (joined.size() > kPathBytesMax) {
    return Refuse(joined, "is longer than 4096 bytes", ErrorCode::kNameTooLong);
  }
  return RepoPath(std::move(joined));
}

std::string JoinPath(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + '/' + name;
}

bool IsAtOrBelow(std::string_view path, std::string_view top) {
  return top.empty() || path == top || (path.starts_with(top) && path[top.size()] == '/');
}

}  // namespace stagefs

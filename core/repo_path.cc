#include "stagefs/repo_path.h"

#include <algorithm>
#include <cassert>

namespace stagefs {
namespace {

Error Refuse(std::string_view raw, const std::string& why, ErrorCode code = ErrorCode::kInvalidArgument) {
  return Error(code, "path '" + ToDisplayUtf8(raw.substr(0, 200)) + "' " + why);
}

// The length of the valid UTF-8 sequence at the start of `bytes`, or 0.
size_t Utf8SequenceLength(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto continues = [&](size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return i < bytes.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    // E0 would be over-long below A0, ED a surrogate above 9F (RFC 3629, section 4).
    const unsigned low = lead == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : 0xbf;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const unsigned low = lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xf4 ? 0x8f : 0xbf;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
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

bool IsValidUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = Utf8SequenceLength(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string JoinPath(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + '/' + name;
}

bool IsAtOrBelow(std::string_view path, std::string_view top) {
  return top.empty() || path == top || (path.starts_with(top) && path[top.size()] == '/');
}

std::string ToDisplayUtf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const size_t length = Utf8SequenceLength(bytes);
    if (length == 0) {
      text += "\xef\xbf\xbd";
      bytes.remove_prefix(1);
    } else {
      text += bytes.substr(0, length);
      bytes.remove_prefix(length);
    }
  }
  return text;
}

}  // namespace stagefs

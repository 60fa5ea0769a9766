#include "call.h"

#include "wire/read_text.h"
#include "wire/wire_object.h"

namespace stagefs {

NamedPaths::NamedPaths(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    auto path = RepoPath::Parse(name);
    (path ? names_ : no_paths_).push_back(name);
    if (path) parsed_.push_back(std::move(*path));
  }
}

std::vector<std::string> NamedPaths::Failed(const std::vector<Status>& outcomes, std::optional<ErrorCode> fine) const {
  std::vector<std::string> failed = no_paths_;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i] && outcomes[i].error().code() != fine) failed.push_back(names_[i]);
  }
  return failed;
}

OrRefusal<RepoPath> Call::Path() const { return OrBadRequest(RepoPath::Parse(rest)); }
OrRefusal<RepoPath> Call::Directory() const { return OrBadRequest(RepoPath::ParseDirectory(rest)); }

Result<std::string> Call::Text() const { return ReadText(*request.body, kJsonBytesMax); }

OrRefusal<NamedPaths> Call::Paths() const {
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, Text());
  STAGEFS_ASSIGN_OR_RETURN(const auto names, OrBadStatus(ParseTexts(text)));
  return NamedPaths(names);
}

bool Call::AsksForThumbnail() const {
  for (const char* name : {"width", "height", "thumbnail"}) {
    if (target.query.contains(name)) return true;
  }
  return false;
}

}  // namespace stagefs

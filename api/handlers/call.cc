#include "call.h"

#include "wire/read_text.h"
#include "wire/wire_object.h"

namespace stagefs {

OrRefusal<RepoPath> Call::Path() const { return OrBadRequest(RepoPath::Parse(rest)); }
OrRefusal<RepoPath> Call::Directory() const { return OrBadRequest(RepoPath::ParseDirectory(rest)); }

Result<std::string> Call::Text() const { return ReadText(*request.body, kJsonBytesMax); }

OrRefusal<std::vector<std::string>> Call::Texts() const {
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, Text());
  return OrBadStatus(ParseTexts(text));
}

bool Call::AsksForThumbnail() const {
  for (const char* name : {"width", "height", "thumbnail"}) {
    if (target.query.contains(name)) return true;
  }
  return false;
}

}  // namespace stagefs

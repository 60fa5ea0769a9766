#include "command.h"

#include <cstdlib>

namespace stagefs {

std::string DefaultRoot() {
  if (const char* root = std::getenv("STAGEFS_ROOT"); root != nullptr && *root != '\0') return root;
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data == '/') {
    return std::string(data) + "/stagefs";
  }
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "") + "/.local/share/stagefs";
}

void GlobalOptions::Declare(CommandOptions& options) {
  options.Add("--root", &root, "where repositories live ($STAGEFS_ROOT)").Completing(Completes::kFolder);
  options
      .Add("--index", &places.index,
           "postgresql://HOST/DATABASE for repositories that many machines share ($STAGEFS_INDEX)")
      .Environment("STAGEFS_INDEX");
  options
      .Add("--versions", &places.versions,
           "s3://BUCKET/PREFIX?endpoint=URL for versions that many machines share ($STAGEFS_VERSIONS)")
      .Environment("STAGEFS_VERSIONS");
  options.Add("--json", &json, "print JSON: one document, or one object a line where something is listed; errors, too");
}

}  // namespace stagefs

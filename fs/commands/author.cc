#include "author.h"

#include <unistd.h>

#include <cstdlib>

namespace stagefs {

Author DefaultAuthor() {
  const auto from = [](const char* name, const std::string& otherwise) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? std::string(value) : otherwise;
  };
  const std::string user = from("USER", "unknown");
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  return {from("STAGEFS_AUTHOR_NAME", user), from("STAGEFS_AUTHOR_EMAIL", user + "@" + host)};
}

}  // namespace stagefs

#include "manifest_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

namespace stagefs {

Result<UniqueFd> OpenManifest(const std::string& name, const Repository& repository) {
  UniqueFd file;
  if (name != "-") {
    STAGEFS_ASSIGN_OR_RETURN(file, OpenFd(name, O_RDONLY));
    struct stat info {};
    if (fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode)) return file;
  }
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd copy, OpenUnnamed(repository.incoming()));
  std::vector<char> buffer(256 << 10);
  for (;;) {
    const ssize_t got = read(file.valid() ? file.get() : STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0) return ErrnoError("read " + (file.valid() ? name : "standard input"));
    if (got == 0) return copy;
    STAGEFS_RETURN_IF_ERROR(WriteAll(copy.get(), buffer.data(), static_cast<size_t>(got)));
  }
}

}  // namespace stagefs

#include "path_list.h"

#include <fcntl.h>
#include <unistd.h>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr size_t kReadBytes = 256 << 10;

Result<std::string> ReadWhole(const std::string& name) {
  UniqueFd file;
  if (name != "-") {
    STAGEFS_ASSIGN_OR_RETURN(file, OpenFd(name, O_RDONLY));
  }
  std::string text;
  for (;;) {
    const size_t before = text.size();
    text.resize(before + kReadBytes);
    const ssize_t got = read(file.valid() ? file.get() : STDIN_FILENO, text.data() + before, kReadBytes);
    if (got < 0) return ErrnoError("read " + (name == "-" ? "standard input" : name));
    text.resize(before + static_cast<size_t>(got));
    if (got == 0) return text;
  }
}

}  // namespace

void PathList::Declare(CommandOptions& options, Completes completes, const std::string& help) {
  options.Add("paths", &paths_, help).Completing(completes);
  options.Add("--from", &from_, "a file with a path on each line, - for standard input, instead").Completing(Completes::kFile);
  options.Add("-z,--zero", &zero_, "the list's paths end in NUL");
}

Result<std::vector<std::string>> PathList::ReadTexts() const {
  if (from_.empty()) return paths_;
  if (!paths_.empty()) return Error(ErrorCode::kInvalidArgument, "name paths, or a list of them with --from: not both");
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, ReadWhole(from_));
  std::vector<std::string> paths;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(zero_ ? '\0' : '\n', begin), text.size());
    if (end > begin) paths.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return paths;
}

Result<std::vector<RepoPath>> PathList::Read() const {
  return ReadAs([](const std::string& text) { return RepoPath::Parse(text); });
}

Result<std::vector<RepoPath>> PathList::ReadFolders() const {
  return ReadAs([](const std::string& text) { return RepoPath::ParseDirectory(text); });
}

template <class Parse>
Result<std::vector<RepoPath>> PathList::ReadAs(Parse parse) const {
  STAGEFS_ASSIGN_OR_RETURN(const auto texts, ReadTexts());
  std::vector<RepoPath> paths;
  paths.reserve(texts.size());
  for (const std::string& text : texts) {
    STAGEFS_ASSIGN_OR_RETURN(RepoPath path, parse(text));
    paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace stagefs

#include "path_list.h"

#include <fcntl.h>
#include <unistd.h>

#include "output.h"
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

Status AddMove(const std::string& from, const std::string& to, const std::string& where,
               std::vector<Workspace::PathMove>* moves) {
  const auto parse = [&](const std::string& text) -> Result<RepoPath> {
    auto path = RepoPath::Parse(text);
    if (path || where.empty()) return path;
    return Error(path.error().code(), where + path.error().message());
  };
  STAGEFS_ASSIGN_OR_RETURN(RepoPath source, parse(from));
  STAGEFS_ASSIGN_OR_RETURN(RepoPath target, parse(to));
  moves->push_back({std::move(source), std::move(target)});
  return {};
}

}  // namespace

void PathList::Declare(CommandOptions& options, Completes completes, const std::string& help) {
  options.Add("paths", &paths_, help).Completing(completes);
  options.Add("--from", &from_, "a file with a path on each line, - for standard input, instead")
      .Completing(Completes::kFile);
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

void MoveList::Declare(CommandOptions& options) {
  options.Add("from", &from_, "file or folder").Completing(Completes::kPath);
  options.Add("to", &to_, "its new path, where nothing is").Completing(Completes::kPath);
  options.Add("--from", &list_, "a file with FROM, a tab and TO on each line, - for standard input, instead")
      .Completing(Completes::kFile);
  options.Add("-z,--zero", &zero_, "the list has FROM and TO in turn, each ended by NUL");
}

Result<std::vector<Workspace::PathMove>> MoveList::Read() const {
  std::vector<Workspace::PathMove> moves;
  if (list_.empty()) {
    if (from_.empty() || to_.empty()) {
      return Error(ErrorCode::kInvalidArgument, "name what moves and its new path, or a list of both with --from");
    }
    STAGEFS_RETURN_IF_ERROR(AddMove(from_, to_, "", &moves));
    return moves;
  }
  if (!from_.empty()) return Error(ErrorCode::kInvalidArgument, "name paths, or a list of them with --from: not both");
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, ReadWhole(list_));
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const std::string where = (zero_ ? "move " : "line ") + std::to_string(++number) + ": ";
    const size_t line_end = zero_ ? text.size() : std::min(text.find('\n', begin), text.size());
    if (line_end == begin) {
      ++begin;
      continue;
    }
    const size_t middle = text.find(zero_ ? '\0' : '\t', begin);
    if (middle >= line_end) {
      const char* why = zero_ ? "its new path is missing" : "write FROM, a tab and TO";
      return Error(ErrorCode::kInvalidArgument, where + why);
    }
    const size_t end = zero_ ? std::min(text.find('\0', middle + 1), text.size()) : line_end;
    const std::string to = text.substr(middle + 1, end - middle - 1);
    if (!zero_ && to.find('\t') != std::string::npos) {
      return Error(ErrorCode::kInvalidArgument, where + "more than one tab: lists with -z can name such paths");
    }
    STAGEFS_RETURN_IF_ERROR(AddMove(text.substr(begin, middle - begin), to, where, &moves));
    begin = end + 1;
  }
  return moves;
}

int64_t WarnOfRefused(const std::vector<Status>& outcomes) {
  int64_t refused = 0;
  for (const Status& outcome : outcomes) {
    if (outcome) continue;
    Warn(outcome.error().message());
    ++refused;
  }
  return refused;
}

}  // namespace stagefs

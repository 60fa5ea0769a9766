#include "stagefs/revision.h"

#include <algorithm>
#include <cctype>

#include "stagefs/posix_env.h"
#include "stagefs/text.h"
#include "stagefs/workspace.h"
#include "stagefs/workspaces.h"
#include "when.h"

namespace stagefs {
namespace {

constexpr std::string_view kNamesOnly = "refs:";
constexpr size_t kPrefixDigitsMin = 4, kIdDigits = 32;
constexpr size_t kCandidatesMax = 10;
constexpr size_t kStepDigitsMax = 9;
// A revision's text: a name, and some steps from there.
constexpr size_t kRevisionBytesMax = 1000;

Error NoRevision(std::string_view text) {
  return Error(ErrorCode::kNotFound,
               "no branch, tag or commit '" + ToDisplayUtf8(text.substr(0, kRevisionNameBytesMax)) + "'");
}

Result<CommitInfo> CommitOf(IndexReader& index, CommitSeq seq, std::string_view of) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, index.GetCommit(seq));
  if (!commit) return Error(ErrorCode::kCorrupt, "the commit of " + ToDisplayUtf8(of) + " is gone");
  return *commit;
}

Result<std::optional<Revision>> FindNamed(IndexReader& index, std::string_view text) {
  Revision revision;
  revision.name = text;
  STAGEFS_ASSIGN_OR_RETURN(revision.branch, index.FindBranch(revision.name));
  if (!revision.branch) {
    STAGEFS_ASSIGN_OR_RETURN(revision.tag, index.FindTag(revision.name));
  }
  if (!revision.branch && !revision.tag) return std::optional<Revision>();
  STAGEFS_ASSIGN_OR_RETURN(
      revision.commit, CommitOf(index, revision.branch ? revision.branch->head : revision.tag->commit, text));
  return std::optional<Revision>(std::move(revision));
}

Result<std::optional<Revision>> FindWorkspaceNamed(IndexReader& index, std::string_view text) {
  Revision revision;
  revision.name = text;
  STAGEFS_ASSIGN_OR_RETURN(revision.workspace, index.FindWorkspace(revision.name));
  if (!revision.workspace) return std::optional<Revision>();
  STAGEFS_ASSIGN_OR_RETURN(revision.commit, CommitOf(index, revision.workspace->base, text));
  return std::optional<Revision>(std::move(revision));
}

Error Ambiguous(const std::string& prefix, const std::vector<CommitInfo>& candidates) {
  std::string message = "'" + prefix + "' begins several commits:";
  for (size_t i = 0; i < std::min(candidates.size(), kCandidatesMax); ++i) {
    const std::string first = candidates[i].message.substr(0, candidates[i].message.find('\n'));
    message += "\n  " + candidates[i].id + "  " + FormatTime(candidates[i].time_ns) + "  " + ToDisplayUtf8(first);
  }
  if (candidates.size() > kCandidatesMax) message += "\n  and more";
  return Error(ErrorCode::kInvalidArgument, message);
}

// By its id, or by digits that begin no other's.
Result<std::optional<Revision>> FindById(IndexReader& index, std::string_view text) {
  std::string id(text);
  std::transform(id.begin(), id.end(), id.begin(), [](unsigned char c) { return std::tolower(c); });
  STAGEFS_ASSIGN_OR_RETURN(std::optional<CommitInfo> commit, index.FindCommit(std::string(text)));
  const bool is_prefix = id.size() >= kPrefixDigitsMin && id.size() <= kIdDigits &&
                         std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isxdigit(c); });
  if (!commit && is_prefix) {
    STAGEFS_ASSIGN_OR_RETURN(const auto candidates, index.FindCommits(id, kCandidatesMax + 1));
    if (candidates.size() > 1) return Ambiguous(id, candidates);
    if (!candidates.empty()) commit = candidates.front();
  }
  if (!commit) return std::optional<Revision>();
  return std::optional<Revision>(Revision{std::string(text), *commit, {}, {}, {}});
}

// The steps that follow a name, taken one after the other.
class Steps {
 public:
  Steps(IndexReader& index, std::string_view text, std::string_view steps) : index_(index), text_(text), left_(steps) {}

  static size_t BeginIn(std::string_view text) {
    return std::min({text.find('~'), text.find('^'), text.find("@{"), text.size()});
  }

  Result<CommitInfo> TakeFrom(CommitInfo commit) {
    while (!left_.empty()) {
      STAGEFS_ASSIGN_OR_RETURN(commit, TakeOne(std::move(commit)));
    }
    return commit;
  }

 private:
  Result<CommitInfo> TakeOne(CommitInfo from) {
    const char kind = left_.front();
    left_.remove_prefix(1);
    if (kind == '@') {
      const size_t end = left_.find('}');
      if (!left_.starts_with('{') || end == std::string_view::npos) return Malformed();
      const std::string_view when = left_.substr(1, end - 1);
      left_.remove_prefix(end + 1);
      return NewestUntil(std::move(from), when);
    }
    if (kind != '~' && kind != '^') return Malformed();
    const size_t digits = std::min(left_.find_first_not_of("0123456789"), left_.size());
    if (digits > kStepDigitsMax) return Malformed();
    const int64_t number = digits == 0 ? 1 : std::stoll(std::string(left_.substr(0, digits)));
    left_.remove_prefix(digits);
    return kind == '~' ? Ancestor(std::move(from), number) : Parent(std::move(from), number);
  }

  Result<CommitInfo> Ancestor(CommitInfo commit, int64_t steps) {
    for (int64_t at = 0; at < steps; ++at) {
      if (commit.parent == 0) {
        return Error(ErrorCode::kNotFound, Shown() + " goes back " + std::to_string(steps) +
                                               " commits, and only " + std::to_string(at) + " are there");
      }
      STAGEFS_ASSIGN_OR_RETURN(commit, CommitOf(index_, commit.parent, text_));
    }
    return commit;
  }

  Result<CommitInfo> Parent(CommitInfo commit, int64_t number) {
    if (number == 0) return commit;
    const CommitSeq parent = number == 1 ? commit.parent : number == 2 ? commit.merged : 0;
    if (parent == 0) {
      return Error(ErrorCode::kNotFound,
                   Shown() + ": commit " + commit.id + " has no parent number " + std::to_string(number));
    }
    return CommitOf(index_, parent, text_);
  }

  Result<CommitInfo> NewestUntil(CommitInfo commit, std::string_view when) {
    STAGEFS_ASSIGN_OR_RETURN(const int64_t until_ns, ParseWhen(when, NowNs()));
    while (commit.time_ns > until_ns) {
      if (commit.parent == 0) {
        return Error(ErrorCode::kNotFound,
                     Shown() + ": the first commit is newer, of " + FormatTime(commit.time_ns));
      }
      STAGEFS_ASSIGN_OR_RETURN(commit, CommitOf(index_, commit.parent, text_));
    }
    return commit;
  }

  std::string Shown() const { return "'" + ToDisplayUtf8(text_) + "'"; }
  Error Malformed() const {
    return Error(ErrorCode::kInvalidArgument,
                 Shown() + " is no revision: after a branch, tag or commit come ~N, ^N or @{DATE}; refs:NAME is a name "
                           "as it is written");
  }

  IndexReader& index_;
  const std::string_view text_;
  std::string_view left_;
};

// std::nullopt: nothing has that name, whatever follows it.
Result<std::optional<Revision>> Find(IndexReader& index, std::string_view text) {
  if (text.starts_with(kNamesOnly)) return FindNamed(index, text.substr(kNamesOnly.size()));
  const size_t end = Steps::BeginIn(text);
  const std::string_view name = text.substr(0, end);
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Revision> found, FindNamed(index, name));
  if (!found) {
    STAGEFS_ASSIGN_OR_RETURN(found, FindById(index, name));
  }
  if (end == text.size()) return found;
  // Branches of before may be called so.
  if (!found) return FindNamed(index, text);
  STAGEFS_ASSIGN_OR_RETURN(CommitInfo commit, Steps(index, text, text.substr(end)).TakeFrom(std::move(found->commit)));
  return std::optional<Revision>(Revision{std::string(text), std::move(commit), {}, {}, {}});
}

}  // namespace

Result<Revision> ResolveRevision(IndexReader& index, std::string_view text) {
  if (text.empty()) return Error(ErrorCode::kInvalidArgument, "an empty revision: name a branch, tag or commit");
  if (text.size() > kRevisionBytesMax) {
    return Error(ErrorCode::kInvalidArgument,
                 "a revision has at most " + std::to_string(kRevisionBytesMax) + " bytes");
  }
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Revision> found, Find(index, text));
  if (!found) return NoRevision(text);
  return std::move(*found);
}

Result<Revision> RevisionOf(Workspace& workspace) {
  Revision revision;
  STAGEFS_ASSIGN_OR_RETURN(revision.workspace, workspace.Info());
  revision.name = revision.workspace->name.value_or(revision.workspace->uid);
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, workspace.repository().index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto base, reader->GetCommit(revision.workspace->base));
  if (!base) return Error(ErrorCode::kCorrupt, "the base commit of workspace " + revision.name + " is gone");
  revision.commit = *base;
  return revision;
}

Result<Resource> ResolveResource(Repository& repository, std::string_view text) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  const auto with_path = [&](Revision revision, size_t end) -> Result<Resource> {
    const std::string_view rest = end < text.size() ? text.substr(end + 1) : std::string_view();
    STAGEFS_ASSIGN_OR_RETURN(RepoPath path, RepoPath::ParseDirectory(rest));
    return Resource{std::move(revision), std::move(path)};
  };
  const size_t first_end = std::min(text.find('/'), text.size());
  const std::string first(text.substr(0, first_end));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, reader->FindCommit(first));
  if (commit) return with_path(Revision{first, *commit, {}, {}, {}}, first_end);
  std::optional<Resource> of_workspace;
  for (size_t end = text.size(); end != 0 && end != std::string_view::npos;
       end = end == 0 ? 0 : text.rfind('/', end - 1)) {
    // Longer ones are no name.
    const std::string_view name = text.substr(0, end);
    if (Steps::BeginIn(name) > kRevisionNameBytesMax + kNamesOnly.size() || end > kRevisionBytesMax) continue;
    const bool is_name = Steps::BeginIn(name) == end && !name.starts_with(kNamesOnly);
    auto asked = is_name ? FindNamed(*reader, name) : Find(*reader, name);
    // A path may follow that looks like more of it.
    if (!asked && asked.error().code() == ErrorCode::kInvalidArgument && end != first_end) continue;
    STAGEFS_ASSIGN_OR_RETURN(auto found, std::move(asked));
    if (found) return with_path(std::move(*found), end);
    if (of_workspace) continue;
    STAGEFS_ASSIGN_OR_RETURN(auto workspace, FindWorkspaceNamed(*reader, name));
    if (!workspace) continue;
    STAGEFS_ASSIGN_OR_RETURN(of_workspace, with_path(std::move(*workspace), end));
  }
  if (of_workspace) return std::move(*of_workspace);
  STAGEFS_ASSIGN_OR_RETURN(auto by_prefix, FindById(*reader, first));
  if (by_prefix) return with_path(std::move(*by_prefix), first_end);
  return NoRevision(first);
}

}  // namespace stagefs

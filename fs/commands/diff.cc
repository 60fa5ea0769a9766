// diff, show: what two trees show differently, and what a commit changed.
#include "stagefs/tree_diff.h"

#include <algorithm>
#include <array>

#include "progress.h"
#include "stagefs/history.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "target.h"

namespace stagefs {
namespace {

using Kind = TreeChange::Kind;

// Which changes are told, or how many there are.
struct ChangesShown {
  bool stat = false, zero = false;

  void Declare(CommandOptions& options) {
    options.Add("--stat", &stat, "how many files and bytes, not which");
    options.Add("-z,--zero", &zero, "end lines with NUL and print paths as they are");
  }

  Status Show(Repository& repository, const DiffRequest& request, bool json) {
    const Waiting waiting("diff", "steps");
    STAGEFS_RETURN_IF_ERROR(DiffTrees(repository, request, [&](const TreeChange& change, IndexReader& index) {
      return stat ? Count(change) : Print(index, change, json);
    }));
    return stat ? PrintStat(json) : Status();
  }

 private:
  Status Print(IndexReader& index, const TreeChange& change, bool json) const {
    const auto is_link = [](const std::optional<Entry>& entry) {
      return entry && entry->kind == EntryKind::kSymlink;
    };
    const auto hash = [&](const std::optional<Entry>& entry) -> std::string {
      if (is_link(entry)) return "link";
      const auto version = entry ? index.GetVersion(entry->version).value_or(std::nullopt) : std::nullopt;
      return version ? ToHex(version->content.sha256) : "-";
    };
    const std::string from = hash(change.before), to = hash(change.after);
    if (json) {
      std::string line = "{" + JsonPath("path", change.path);
      line += ",\"status\":\"" + std::string(ToString(change.kind)) + '"';
      if (change.kind == Kind::kMoved) line += ',' + JsonPath("moved_from", change.moved_from);
      line += ",\"old\":\"" + from + "\",\"new\":\"" + to + '"';
      if (change.before) line += ",\"old_size\":" + std::to_string(change.before->size_bytes);
      if (change.after) line += ",\"new_size\":" + std::to_string(change.after->size_bytes);
      if (is_link(change.before)) line += ',' + JsonPath("old_target", change.before->target);
      if (is_link(change.after)) line += ',' + JsonPath("new_target", change.after->target);
      return PrintOut(line + "}\n");
    }
    const std::string line = std::string(1, "AMDR"[static_cast<int>(change.kind)]) + "  " + from + "  " + to + "  ";
    if (zero) {
      const std::string moved = change.kind == Kind::kMoved ? change.moved_from + '\0' : "";
      return PrintOut(line + moved + change.path + '\0');
    }
    const std::string moved = change.kind == Kind::kMoved ? ShowText(change.moved_from) + " -> " : "";
    const std::string target = is_link(change.after) ? " -> " + ShowText(change.after->target) : "";
    return PrintOut(line + moved + ShowText(change.path) + target + '\n');
  }

  Status Count(const TreeChange& change) {
    Total& total = totals_[static_cast<size_t>(change.kind)];
    ++total.files;
    if (change.before) total.old_bytes += change.before->size_bytes;
    if (change.after) total.new_bytes += change.after->size_bytes;
    return {};
  }

  Status PrintStat(bool json) const {
    std::string line = json ? "{" : "";
    for (const Kind kind : {Kind::kAdded, Kind::kModified, Kind::kRemoved, Kind::kMoved}) {
      const auto& [files, old_bytes, new_bytes] = totals_[static_cast<size_t>(kind)];
      const std::string name(ToString(kind));
      if (json) {
        line += (kind == Kind::kAdded ? "\"" : ",\"") + name + "\":{\"files\":" + std::to_string(files) +
                ",\"old_bytes\":" + std::to_string(old_bytes) + ",\"new_bytes\":" + std::to_string(new_bytes) + '}';
        continue;
      }
      line += (kind == Kind::kAdded ? "" : ", ") + std::to_string(files) + ' ' + name;
      if (files == 0) continue;
      const std::string both = std::to_string(old_bytes) + " to " + std::to_string(new_bytes);
      const std::string bytes = kind == Kind::kModified ? both : std::to_string(std::max(old_bytes, new_bytes));
      line += " (" + bytes + " bytes)";
    }
    return PrintOut(line + (json ? "}\n" : "\n"));
  }

  struct Total {
    int64_t files = 0;
    uint64_t old_bytes = 0, new_bytes = 0;
  };
  std::array<Total, 4> totals_;
};

class DiffCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddTree(&target_, "NS/REPO:WORKSPACE, or the older of two: NS/REPO@REV");
    options.Add("other", &arguments_, "the newer one, as @REV or :WORKSPACE (default: of a workspace, its base is the "
                                      "older one); then paths")
        .Completing(Completes::kPath);
    shown_.Declare(options);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto target = OpenTarget(globals, target_, TargetNeeds::kTree);
    if (!target) return Report(target.error());
    const auto request = Request(*target);
    if (!request) return Report(request.error());
    return Done(shown_.Show(*target->repository, *request, globals.json));
  }

  Result<DiffRequest> Request(const Target& target) const {
    DiffRequest request;
    std::vector<std::string> paths = arguments_;
    const std::string repository = target.repository->name().ToString();
    const auto names_tree = [&](const std::string& text) {
      return text.starts_with('@') || text.starts_with(':') || text.starts_with(repository + '@') ||
             text.starts_with(repository + ':');
    };
    const bool named = !paths.empty() && names_tree(paths.front());
    if (named) {
      request.before = target.revision;
      STAGEFS_ASSIGN_OR_RETURN(request.after, OpenBeside(target, paths.front()));
      paths.erase(paths.begin());
    } else if (target.workspace) {
      request.before.name = target.revision.name;
      request.before.commit = target.revision.commit;
      request.after = target.revision;
    } else {
      return Error(ErrorCode::kInvalidArgument, "compare " + target_ + " with what? Name another commit, as @REV, or a "
                                                "workspace, as :WORKSPACE");
    }
    for (const std::string& text : paths) {
      STAGEFS_ASSIGN_OR_RETURN(RepoPath path, RepoPath::ParseDirectory(text));
      request.paths.push_back(std::move(path));
    }
    return request;
  }

  std::string target_;
  std::vector<std::string> arguments_;
  ChangesShown shown_;
};

class ShowCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddTree(&target_, "NS/REPO@REV");
    options.Add("paths", &paths_, "only what changed at or below these").Completing(Completes::kPath);
    shown_.Declare(options);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto target = OpenTarget(globals, target_, TargetNeeds::kTree);
    if (!target) return Report(target.error());
    if (target->workspace) {
      return Report(Error(ErrorCode::kInvalidArgument, target_ + " is a workspace: stagefs diff shows what is staged"));
    }
    return Done(ShowCommit(*target, globals.json));
  }

  // What it changed is what its first parent shows otherwise; the repository's first commit has none.
  Status ShowCommit(const Target& target, bool json) {
    const CommitInfo& commit = target.revision.commit;
    STAGEFS_ASSIGN_OR_RETURN(const auto parents, History(*target.repository).ParentsOf(commit));
    STAGEFS_RETURN_IF_ERROR(PrintCommit(commit, parents, json));
    if (parents.empty()) return {};
    DiffRequest request;
    STAGEFS_ASSIGN_OR_RETURN(request.before.commit, History(*target.repository).Resolve(parents.front()));
    request.after = target.revision;
    for (const std::string& text : paths_) {
      STAGEFS_ASSIGN_OR_RETURN(RepoPath path, RepoPath::ParseDirectory(text));
      request.paths.push_back(std::move(path));
    }
    return shown_.Show(*target.repository, request, json);
  }

  static Status PrintCommit(const CommitInfo& commit, const std::vector<std::string>& parents, bool json) {
    const std::string time = FormatTime(commit.time_ns);
    std::string listed, shown;
    for (const std::string& parent : parents) {
      listed += (listed.empty() ? "" : ",") + JsonString(parent);
      shown += "parent  " + parent + "\n";
    }
    if (json) {
      return PrintOut(JsonLine({{"id", commit.id}, JsonMember::Raw("parents", '[' + listed + ']'),
                                {"author", commit.author}, {"email", commit.email}, {"time", time},
                                {"message", commit.message}}));
    }
    return PrintOut("commit  " + commit.id + "\n" + shown + "author  " + ShowText(commit.author) + " <" +
                    ShowText(commit.email) + ">\ntime    " + time + "\n\n    " + ShowText(commit.message) + "\n\n");
  }

  std::string target_;
  std::vector<std::string> paths_;
  ChangesShown shown_;
};

}  // namespace

std::unique_ptr<Command> NewDiff() { return std::make_unique<DiffCommand>(); }
std::unique_ptr<Command> NewShow() { return std::make_unique<ShowCommand>(); }

}  // namespace stagefs

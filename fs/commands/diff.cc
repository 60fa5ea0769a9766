// diff: what two trees show differently.
#include "stagefs/tree_diff.h"

#include <algorithm>
#include <array>

#include "progress.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "target.h"

namespace stagefs {
namespace {

using Kind = TreeChange::Kind;

class DiffCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddTree(&target_, "NS/REPO:WORKSPACE, or the older of two: NS/REPO@REV");
    options.Add("other", &arguments_, "the newer one, as @REV or :WORKSPACE (default: of a workspace, its base is the "
                                      "older one); then paths")
        .Completing(Completes::kPath);
    options.Add("--stat", &stat_, "how many files and bytes, not which");
    options.Add("-z,--zero", &zero_, "end lines with NUL and print paths as they are");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto target = OpenTarget(globals, target_, TargetNeeds::kTree);
    if (!target) return Report(target.error());
    const auto request = Request(*target);
    if (!request) return Report(request.error());
    const Waiting waiting("diff", "steps");
    const Status compared = DiffTrees(*target->repository, *request, [&](const TreeChange& change, IndexReader& index) {
      return stat_ ? Count(change) : Print(index, change, globals.json);
    });
    if (!compared) return Report(compared.error());
    return stat_ ? PrintStat(globals.json) : kExitOk;
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

  Status Print(IndexReader& index, const TreeChange& change, bool json) const {
    const auto hash = [&](const std::optional<Entry>& entry) -> std::string {
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
      return PrintOut(line + "}\n");
    }
    const std::string line = std::string(1, "AMDR"[static_cast<int>(change.kind)]) + "  " + from + "  " + to + "  ";
    if (zero_) {
      const std::string moved = change.kind == Kind::kMoved ? change.moved_from + '\0' : "";
      return PrintOut(line + moved + change.path + '\0');
    }
    const std::string moved = change.kind == Kind::kMoved ? ShowText(change.moved_from) + " -> " : "";
    return PrintOut(line + moved + ShowText(change.path) + '\n');
  }

  Status Count(const TreeChange& change) {
    Total& total = totals_[static_cast<size_t>(change.kind)];
    ++total.files;
    if (change.before) total.old_bytes += change.before->size_bytes;
    if (change.after) total.new_bytes += change.after->size_bytes;
    return {};
  }

  ExitStatus PrintStat(bool json) const {
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
    return Done(PrintOut(line + (json ? "}\n" : "\n")));
  }

  struct Total {
    int64_t files = 0;
    uint64_t old_bytes = 0, new_bytes = 0;
  };
  std::string target_;
  std::vector<std::string> arguments_;
  bool stat_ = false, zero_ = false;
  std::array<Total, 4> totals_;
};

}  // namespace

std::unique_ptr<Command> NewDiff() { return std::make_unique<DiffCommand>(); }

}  // namespace stagefs

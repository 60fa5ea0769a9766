// Rebase and the history of a path, on histories made at random, beside plain ones that keep and read everything.
#include <algorithm>
#include <random>

#include "core/history/ancestry.h"
#include "core/history/rebaser.h"
#include "core/tree/walk.h"
#include "stagefs/commit.h"
#include "stagefs/history.h"
#include "stagefs/posix_env.h"
#include "stagefs/workspaces.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

bool SameFile(const std::optional<Entry>& a, const std::optional<Entry>& b) {
  if (!a || !b || a->kind != b->kind) return !a && !b;
  return a->version == b->version && a->executable == b->executable && a->target == b->target;
}

std::optional<Entry> FindIn(Tree& tree, const std::string& path) {
  auto located = tree.Find(Value(RepoPath::Parse(path)));
  return located ? std::optional<Entry>(std::move(located->entry)) : std::nullopt;
}

bool IsRenamedFolder(const StagedAt& at) {
  return at.staged.entry.kind == EntryKind::kFolder && at.staged.state == StagedState::kModified;
}

// What Rebaser is to do, with all rows in memory and every path looked up from the root.
class PlainRebaser {
 public:
  PlainRebaser(Overlay& from, Overlay& to) : from_(from), to_(to) {
    Ok(WalkStaged(from_, [&](const StagedAt& at) -> Status {
      rows_.push_back(at);
      return {};
    }));
  }

  Lines Conflicts() {
    Lines conflicts;
    for (const StagedAt& at : rows_) {
      if (IsInTheWay(at) || IsConflict(at)) conflicts.push_back(at.path);
    }
    return conflicts;
  }

  Status Run() {
    Ok(to_.transaction().EraseAllStaged(to_.workspace().id));
    for (const StagedAt& at : rows_) {
      if (!IsRenamedFolder(at)) continue;
      const auto home = Value(to_.PlaceOf(at.staged.entry.child));
      if (!home) return Error(ErrorCode::kConflict, "gone");
      STAGEFS_RETURN_IF_ERROR(to_.Rename(*home, {kRootFolder, "aside-" + RandomHex()}, RenameMode::kReplace));
    }
    std::vector<Slot> emptied;
    for (const StagedAt& at : rows_) STAGEFS_RETURN_IF_ERROR(Clear(at, &emptied));
    for (auto slot = emptied.rbegin(); slot != emptied.rend(); ++slot) {
      const auto folder = Value(to_.LookUp(*slot));
      if (!folder || folder->kind != EntryKind::kFolder || !Value(to_.IsEmpty(folder->child))) continue;
      STAGEFS_RETURN_IF_ERROR(to_.RemoveFolder(*slot));
    }
    for (const StagedAt& at : rows_) STAGEFS_RETURN_IF_ERROR(Lay(at));
    return {};
  }

 private:
  bool IsInTheWay(const StagedAt& at) {
    const Entry& entry = at.staged.entry;
    if (entry.kind == EntryKind::kRemoved) return false;
    for (RepoPath above = Value(RepoPath::Parse(at.path)).parent(); !above.is_root(); above = above.parent()) {
      const auto theirs = FindIn(to_.base(), above.str());
      if (!theirs) continue;
      if (theirs->kind == EntryKind::kFolder) break;
      return !SameFile(FindIn(from_.base(), above.str()), theirs);
    }
    const auto theirs = FindIn(to_.base(), at.path), before = FindIn(from_.base(), at.path);
    if (!theirs) return false;
    if (entry.kind != EntryKind::kFolder || theirs->kind == EntryKind::kFolder) return false;
    return !Value(from_.IsEmpty(entry.child)) && !SameFile(before, theirs);
  }

  bool IsConflict(const StagedAt& at) {
    const Entry& entry = at.staged.entry;
    if (at.staged.state == StagedState::kKept) return false;
    const auto base = FindIn(from_.base(), at.path), theirs = FindIn(to_.base(), at.path);
    if (IsRenamedFolder(at)) {
      const auto home = FindIn(to_.base(), Value(from_.base().PathOf(entry.child)));
      const bool taken = theirs && (!base || (base->kind != EntryKind::kFolder && !SameFile(base, theirs)));
      return !home || home->child != entry.child || taken;
    }
    if (base && base->kind == EntryKind::kFolder) return false;
    std::optional<Entry> ours;
    if (at.staged.state != StagedState::kRemoved) ours = entry;
    return !SameFile(base, theirs) && !SameFile(theirs, ours);
  }

  Status Clear(const StagedAt& at, std::vector<Slot>* emptied) {
    if (at.staged.state != StagedState::kRemoved && !IsRenamedFolder(at)) return {};
    Slot slot = at.slot;
    if (slot.folder != kRootFolder && !Value(to_.PlaceOf(slot.folder))) {
      const auto located = to_.Find(Value(RepoPath::Parse(at.path)));
      if (!located) return {};
      slot = located->slot;
    }
    const auto entry = Value(to_.LookUp(slot));
    if (!entry) return {};
    if (entry->kind != EntryKind::kFolder) return to_.Remove(slot);
    emptied->push_back(slot);
    return {};
  }

  Status Lay(const StagedAt& at) {
    const Entry& entry = at.staged.entry;
    if (entry.kind == EntryKind::kRemoved) return {};
    const bool is_time = entry.kind != EntryKind::kFolder && at.staged.state == StagedState::kKept && !entry.scratch;
    if (is_time && !SameFile(FindIn(to_.base(), at.path), entry)) return {};
    const RepoPath path = Value(RepoPath::Parse(at.path));
    STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, to_.EnsureFolders(path.parent()));
    const Slot slot{folder, std::string(path.name())};
    if (entry.kind != EntryKind::kFolder) return to_.Place(slot, entry).WithoutValue();
    if (IsRenamedFolder(at)) {
      return to_.Rename(*Value(to_.PlaceOf(entry.child)), slot, RenameMode::kReplace);
    }
    const auto theirs = Value(to_.LookUp(slot));
    if (theirs && theirs->kind != EntryKind::kFolder) return {};
    return to_.EnsureFolder(slot).WithoutValue();
  }

  Overlay& from_;
  Overlay& to_;
  std::vector<StagedAt> rows_;
};

// A workspace `w`, and a branch `side` with a workspace of its own; both are changed at random, within few names.
struct RandomScene : Scene {
  explicit RandomScene(unsigned seed) : random(seed) {
    Stage("c/kept", "kept");
    Change(workspace(), 20);
    Scene::Commit("base");
    Ok(history.CreateBranch("side", "main"));
    Value(Workspaces(repository()).Create("side", "s", std::nullopt));
    side = Value(Workspace::Open(repository(), "s"));
  }

  unsigned Below(unsigned n) { return static_cast<unsigned>(random()) % n; }
  RepoPath Path() {
    std::string path;
    for (unsigned depth = 1 + Below(3), i = 0; i < depth; ++i) {
      path += (i == 0 ? "" : "/") + std::string(1, "abcd"[Below(4)]);
    }
    return Value(RepoPath::Parse(path));
  }
  // What cannot be is refused, and that is all.
  void Change(Workspace& in) {
    const RepoPath path = Path(), other = Path();
    switch (Below(12)) {
      case 10: case 11: StageLinkIn(in, path.str(), "to" + std::to_string(Below(2))); break;
      case 0: case 1: case 2: case 3: (void)in.StagePath(path, Put(std::to_string(Below(3))), {}); break;
      case 4: case 5: (void)in.RemovePaths({path}); break;
      case 6: case 7: (void)in.MovePath(path, other); break;
      case 8:
        if (const auto at = in.tree().Find(path.parent()); at && at->entry.kind == EntryKind::kFolder) {
          (void)in.MakeFolder({at->entry.child, std::string(path.name())});
        }
        break;
      default:
        const FileMode mode{Below(2) == 0, std::nullopt};
        if (const auto at = in.tree().Find(path)) (void)in.SetTraits(at->slot, 1'000, mode);
        break;
    }
  }
  void Change(Workspace& in, unsigned times) {
    for (unsigned i = 0; i < times; ++i) Change(in);
  }
  void CommitIn(Workspace& in) { (void)CommitStaged(in, "random", {"Ann", "ann@example.org"}, std::nullopt); }

  std::mt19937 random;
  History history{repository()};
  std::unique_ptr<Workspace> side;
};

// The tree, and what is staged in it, in lines.
Lines Shown(Overlay& tree) {
  Lines lines;
  const auto text_of = [](const Entry& entry) {
    return std::to_string(static_cast<int>(entry.kind)) + ' ' + std::to_string(entry.version) + ' ' +
           std::to_string(entry.executable) + ' ' +
           (entry.kind != EntryKind::kFolder ? std::to_string(entry.mtime_ns) : std::string()) + entry.target;
  };
  Ok(tree.Walk(kRootFolder, "", [&](const Tree::Walked& at) -> Status {
    lines.push_back(at.path + ": " + text_of(at.entry));
    return {};
  }));
  Ok(WalkStaged(tree, [&](const StagedAt& at) -> Status {
    // Times of folders stay where all rows do.
    if (at.staged.state == StagedState::kKept && at.staged.entry.kind == EntryKind::kFolder) return {};
    lines.push_back("staged " + at.path + ": " + std::to_string(static_cast<int>(at.staged.state)) + ' ' +
                    text_of(at.staged.entry));
    return {};
  }));
  return lines;
}

struct Outcome {
  Lines conflicts, shown;
  bool done = false;
  bool operator==(const Outcome&) const = default;
};

// What `how` makes of a rebase onto `side`, which then never was.
Outcome Try(RandomScene& scene, bool plain) {
  const WorkspaceInfo info = Value(scene.workspace().Info());
  const CommitInfo side = Value(scene.history.Resolve("side"));
  const auto change = Value(DurableChange::Begin(scene.repository(), Durability::kProcessDeath,
                                                 Turn::Workspace(scene.workspace().id())));
  Overlay from(*change, info, Value(change->index().ViewOf(info.base)), kNoMount);
  Overlay to = Value(OnTopOf(from, side.seq));
  Outcome outcome;
  if (plain) {
    PlainRebaser rebaser(from, to);
    outcome.conflicts = rebaser.Conflicts();
    outcome.done = outcome.conflicts.empty() && rebaser.Run();
  } else {
    outcome.conflicts = Value(Rebaser(from, to).Conflicts());
    outcome.done = Rebaser(from, to).Run().has_value();
    CHECK(Value(change->index().ScanStaged(-info.id, std::nullopt, 1)).empty());
  }
  if (outcome.done) outcome.shown = Shown(to);
  return outcome;
}

// Whether `commit` changed anything at or below `path`, by every row of it.
bool ChangedPlainly(IndexReader& index, const CommitInfo& commit, const RepoPath& path) {
  CommitTree after = Value(CommitTree::Of(index, commit.seq));
  CommitTree before = commit.parent != 0 ? Value(CommitTree::Of(index, commit.parent)) : CommitTree(index, TreeView());
  for (const Slot& slot : Value(index.ListCommitted(commit.seq, std::nullopt, 1'000'000))) {
    for (CommitTree* tree : {&after, &before}) {
      const auto at = static_cast<Tree*>(tree)->PathOf(slot);
      if (at && IsAtOrBelow(*at, path.str())) return true;
      if (at && IsAtOrBelow(path.str(), *at) && FindIn(after, path.str()) != FindIn(before, path.str())) return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("Rebase: rows read by pages are laid as all of them together are", "[core][rebase]") {
  const unsigned seed = GENERATE(range(1U, 9U));
  RandomScene scene(seed);
  unsigned done = 0;
  for (int round = 0; round < 12; ++round) {
    INFO("seed " << seed << ", round " << round);
    Ok(scene.history.MoveBranch("side", "main").WithoutValue());
    (void)scene.workspace().Unstage({RepoPath()});
    Ok(Workspaces(scene.repository()).Delete("s", true));
    Value(Workspaces(scene.repository()).Create("side", "s", std::nullopt));
    scene.side = Value(Workspace::Open(scene.repository(), "s"));
    scene.Change(*scene.side, 1 + scene.Below(8));
    scene.CommitIn(*scene.side);
    scene.Change(scene.workspace(), 1 + scene.Below(10));
    const Outcome plain = Try(scene, true), paged = Try(scene, false);
    CHECK(paged.conflicts == plain.conflicts);
    CHECK(paged.done == plain.done);
    CHECK(paged.shown == plain.shown);
    done += plain.done ? 1 : 0;
    if (round % 3 == 2) scene.CommitIn(scene.workspace());
  }
  CHECK(done > 0);
}

TEST_CASE("History: a path's commits are those that reading every row of every commit finds", "[core][rebase]") {
  const unsigned seed = GENERATE(range(1U, 5U));
  RandomScene scene(seed);
  for (int round = 0; round < 12; ++round) {
    Workspace& in = round % 3 == 1 ? *scene.side : scene.workspace();
    scene.Change(in, 1 + scene.Below(5));
    scene.CommitIn(in);
    (void)in.Unstage({RepoPath()});
    if (round % 4 == 3) (void)scene.history.Merge("main", "side", "merge", {"Ann", "a"});
    if (round % 4 == 3) (void)Rebase(scene.workspace());
  }
  const CommitInfo head = Value(scene.history.Resolve("main"));
  for (const char* text :
       {"a", "b", "c", "d", "a/a", "a/b", "b/a", "c/kept", "c/d", "d/c", "a/b/c", "b/b/b", "d/a/a"}) {
    const RepoPath path = Value(RepoPath::Parse(text));
    std::vector<CommitSeq> plain, found;
    auto reader = Value(scene.repository().index().Read());
    Ok(WalkBoth(*reader, head.seq, head.seq, [&](const CommitInfo& commit, int) {
      if (ChangedPlainly(*reader, commit, path)) plain.push_back(commit.seq);
      return true;
    }));
    reader.reset();  // A thread has one at a time.
    for (const CommitInfo& commit : Value(scene.history.LogOf("main", path, 0, 1'000)).commits) {
      found.push_back(commit.seq);
    }
    INFO("seed " << seed << ", " << text);
    CHECK(found == plain);
  }
}

}  // namespace stagefs::test

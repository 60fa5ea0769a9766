#include "mount/control/control_folder.h"

#include <algorithm>

namespace stagefs {

ControlFolder::ControlFolder(const ControlEnv& env)
    : ControlPlace(env), versions_(env), inbox_(env), base_(env), commits_(env), recovered_(env), taken_back_(env),
      texts_(env), commands_(env) {
  names_.push_back({"versions", NodeKind::kVersionsFolder});
  names_.push_back({"commits", NodeKind::kCommitsFolder});
  for (std::string& name : texts_.Names()) names_.push_back({std::move(name), NodeKind::kText});
  if (env.workspace != nullptr) {
    names_.push_back({"base", NodeKind::kBaseFolder});
    names_.push_back({"control", NodeKind::kCommand});
    names_.push_back({"inbox", NodeKind::kInboxFolder});
    names_.push_back({"recovered", NodeKind::kRecoveredFolder});
    names_.push_back({"taken-back", NodeKind::kTakenBackFolder});
  }
  std::sort(names_.begin(), names_.end(), [](const Name& a, const Name& b) { return a.name < b.name; });
}

Place& ControlFolder::PlaceOf(NodeKind kind) {
  switch (kind) {
    case NodeKind::kVersionsFolder:
    case NodeKind::kVersion: return versions_;
    case NodeKind::kInboxFolder:
    case NodeKind::kInboxFile: return inbox_;
    case NodeKind::kBaseFolder:
    case NodeKind::kBaseFile: return base_;
    case NodeKind::kCommitsFolder:
    case NodeKind::kCommitLink:
    case NodeKind::kCommitFolder:
    case NodeKind::kCommitFile: return commits_;
    case NodeKind::kRecoveredFolder:
    case NodeKind::kRecoveredFile: return recovered_;
    case NodeKind::kTakenBackFolder:
    case NodeKind::kTakenBackTree:
    case NodeKind::kTakenBackFile: return taken_back_;
    case NodeKind::kText: return texts_;
    case NodeKind::kCommand: return commands_;
    case NodeKind::kControlFolder:
    case NodeKind::kFolder:
    case NodeKind::kFile:
    case NodeKind::kSymlink:
    case NodeKind::kTreeLink: break;
  }
  return *this;
}

LookedUp ControlFolder::LookUpItself() {
  std::shared_ptr<Node> node;
  {
    auto table = env_.nodes.Lock();
    const uint64_t number = table->NumberAt(*table->Find(kRootNode), kControlFolder);
    node = table->FindOrAddControl("c", NodeKind::kControlFolder, number);
  }
  return CountLookup(node, /*fixed=*/true);
}

Result<std::shared_ptr<Node>> ControlFolder::Child(const Node& folder, const std::string& name) {
  const auto known =
      std::find_if(names_.begin(), names_.end(), [&](const Name& entry) { return entry.name == name; });
  if (known == names_.end()) return NoSuchName(name);
  auto table = env_.nodes.Lock();
  auto node = table->FindOrAddControl("c:" + name, known->kind, table->NumberAt(folder, name));
  if (known->kind == NodeKind::kText) node->MakeExtra().path = name;
  if (known->kind == NodeKind::kBaseFolder) node->SetEntry(Entry::OfFolder(kRootFolder));
  return node;
}

Result<ListedPage> ControlFolder::List(const Node&, const std::string& after) {
  ListedPage page;
  page.is_last = true;
  for (const Name& known : names_) {
    if (known.name > after) page.names.push_back({known.name, known.kind, {}});
  }
  return page;
}

}  // namespace stagefs

// InodeTable: what the kernel knows.
#include "mount/inode_table.h"

#include "tests/catch.h"

namespace stagefs::test {
namespace {

using Names = std::vector<std::string>;

// Stands for an open file: the table never looks into it.
std::shared_ptr<OpenFile> SomeFile() {
  const auto owner = std::make_shared<char>();
  return {owner, reinterpret_cast<OpenFile*>(owner.get())};
}

std::shared_ptr<Node> AddFile(InodeTable& table, const std::string& name, FolderId folder = kRootFolder) {
  auto node = table.Add(NodeKind::kFile);
  table.Attach(node, {folder, name});
  node->lookups = 1;
  return node;
}

Names NamesOf(const std::vector<std::shared_ptr<Node>>& nodes) {
  Names names;
  for (const auto& node : nodes) names.push_back(node->slot.name);
  return names;
}

}  // namespace

TEST_CASE("InodeTable: a folder has the same inode each time", "[fs][inode_table]") {
  InodeTable table;
  const NodeId id = table.AddFolder(7)->id;
  table.Find(id)->lookups = 1;
  table.Forget(id, 1);
  CHECK(table.FindFolder(7) == nullptr);
  CHECK(table.AddFolder(7)->id == id);
}

TEST_CASE("InodeTable: a file has an inode that no other one had", "[fs][inode_table]") {
  InodeTable table;
  const NodeId first = AddFile(table, "a")->id;
  table.Forget(first, 1);
  CHECK(AddFile(table, "a")->id != first);
  CHECK(table.Find(first) == nullptr);
}

TEST_CASE("InodeTable: a path has the same number each time and in each table", "[fs][inode_table]") {
  InodeTable table, other;
  const auto number_in = [](InodeTable& in, const std::string& name) { return AddFile(in, name)->number; };
  const uint64_t number = number_in(table, "a");
  CHECK(number_in(other, "b") != number);
  CHECK(number_in(other, "a") == number);
  CHECK(table.NumberAt(*table.Find(kRootNode), "a") == number);
  CHECK(number >> 63 == 0);
}

TEST_CASE("InodeTable: links share a number until one is not what it was", "[fs][inode_table]") {
  InodeTable table;
  const auto file = AddFile(table, "a");
  const uint64_t number = file->number;
  std::vector<std::shared_ptr<Node>> links;
  for (const char* name : {"b", "c"}) {
    links.push_back(AddFile(table, name));
    table.ShareNumber(file, links.back());
  }
  const auto counts_are = [&](uint32_t of_file, uint32_t of_b, uint32_t of_c) {
    CHECK(table.CountLinks(file) == of_file);
    CHECK(table.CountLinks(links[0]) == of_b);
    CHECK(table.CountLinks(links[1]) == of_c);
  };
  counts_are(3, 3, 3);
  CHECK(links[1]->number == number);

  SECTION("one of them is replaced") {
    CHECK(AddFile(table, "b")->number != number);
    counts_are(2, 2, 2);
    CHECK(links[0]->number == number);
  }
  SECTION("one after the other is removed, and may still be open") {
    table.Detach(links[0]);
    counts_are(2, 2, 2);
    table.Detach(file);
    counts_are(1, 1, 1);
    table.Forget(file->id, 1);
    table.Forget(links[0]->id, 1);
    CHECK(table.CountLinks(links[1]) == 1);
    CHECK(links[1]->number == number);
    table.Detach(links[1]);
    CHECK(table.CountLinks(links[1]) == 0);
  }
  SECTION("the first one is written") {
    table.SetWritten(file, true);
    counts_are(1, 2, 2);
    CHECK(file->number != number);
    CHECK(links[0]->number == number);
    CHECK(links[1]->number == number);
    table.SetWritten(file, false);
    counts_are(1, 2, 2);
    table.SetWritten(links[0], true);
    counts_are(1, 1, 1);
  }
  SECTION("one has other content") {
    links[1]->SetEntry(Entry::OfFile(7, 1, 1));
    counts_are(2, 2, 1);
    CHECK(links[1]->number == table.NumberAt(*table.Find(kRootNode), "c"));
  }
  SECTION("one is only touched") {
    links[1]->SetEntry(Entry::OfFile(0, 0, 5));
    counts_are(2, 2, 1);
  }
  SECTION("a new file where the first one was has a number of its own") {
    table.Attach(file, {kRootFolder, "moved"});
    CHECK(AddFile(table, "a")->number != number);
    table.Forget(file->id, 1);
    CHECK(AddFile(table, "a")->number != number);
    CHECK(table.CountLinks(links[0]) == 2);
  }
  SECTION("the kernel forgets all of them") {
    for (const auto& node : {file, links[0], links[1]}) table.Forget(node->id, 1);
    CHECK(AddFile(table, "b")->number != number);
    CHECK(AddFile(table, "a")->number == number);
  }
}

TEST_CASE("InodeTable: so many links share a number", "[fs][inode_table]") {
  InodeTable table;
  const auto file = AddFile(table, "a");
  std::shared_ptr<Node> last;
  for (size_t i = 1; i <= kLinksMax; ++i) {
    last = AddFile(table, std::to_string(i));
    table.ShareNumber(file, last);
  }
  CHECK(table.CountLinks(file) == kLinksMax);
  CHECK(table.CountLinks(last) == 1);
  CHECK(last->number != file->number);
}

TEST_CASE("InodeTable: a renamed file keeps its number, and nobody else gets it", "[fs][inode_table]") {
  InodeTable table;
  const auto node = AddFile(table, "a");
  const uint64_t number = node->number;
  table.Attach(node, {kRootFolder, "b"});
  CHECK(node->number == number);
  const auto next = AddFile(table, "a");
  CHECK(next->number != number);
  CHECK(next->number != AddFile(table, "c")->number);
  table.Forget(node->id, 1);
  table.Forget(next->id, 1);
  CHECK(AddFile(table, "a")->number == number);
}

TEST_CASE("InodeTable: a file that is open without a path shares its number with nobody", "[fs][inode_table]") {
  InodeTable table;
  const auto removed = AddFile(table, "a");
  table.SetOpen(removed, SomeFile());
  table.Detach(removed);
  CHECK(AddFile(table, "a")->number != removed->number);
  table.SetOpen(removed, nullptr);
  CHECK(table.NumberAt(*table.Find(kRootNode), "a") == removed->number);
}

TEST_CASE("InodeTable: what is made where a renamed folder was has numbers of its own", "[fs][inode_table]") {
  InodeTable table;
  const auto renamed = table.AddFolder(7);
  table.Attach(renamed, {kRootFolder, "a"});
  const uint64_t inside = AddFile(table, "x", 7)->number;
  table.Attach(renamed, {kRootFolder, "b"});
  const auto made = table.AddFolder(8);
  table.Attach(made, {kRootFolder, "a"});
  CHECK(made->number != renamed->number);
  CHECK(AddFile(table, "x", 8)->number != inside);
}

TEST_CASE("InodeTable: a node goes with the kernel's last reference", "[fs][inode_table]") {
  InodeTable table;
  const auto node = AddFile(table, "a");
  node->lookups = 3;
  table.Forget(node->id, 2);
  CHECK(table.FindSlot({kRootFolder, "a"}) == node);
  table.Forget(node->id, 1);
  CHECK(table.FindSlot({kRootFolder, "a"}) == nullptr);
}

TEST_CASE("InodeTable: the root is never forgotten", "[fs][inode_table]") {
  InodeTable table;
  table.Forget(kRootNode, 1);
  CHECK(table.Find(kRootNode) != nullptr);
}

TEST_CASE("InodeTable: a node that is open stays until it is closed", "[fs][inode_table]") {
  InodeTable table;
  const auto node = AddFile(table, "a");
  table.SetOpen(node, SomeFile());
  table.Forget(node->id, 1);
  CHECK(table.Find(node->id) == node);
  table.SetOpen(node, nullptr);
  table.DropIfUnused(node);
  CHECK(table.Find(node->id) == nullptr);
}

TEST_CASE("InodeTable: a slot leads to whoever came last", "[fs][inode_table]") {
  InodeTable table;
  const auto before = AddFile(table, "a");
  const auto after = AddFile(table, "a");
  CHECK(table.FindSlot({kRootFolder, "a"}) == after);
  CHECK(!before->attached);
  CHECK(table.Find(before->id) == before);
}

TEST_CASE("InodeTable: a node that moves is found at its new name alone", "[fs][inode_table]") {
  InodeTable table;
  const auto node = AddFile(table, "a");
  table.Attach(node, {kRootFolder, "b"});
  CHECK(table.FindSlot({kRootFolder, "a"}) == nullptr);
  CHECK(table.FindSlot({kRootFolder, "b"}) == node);
}

TEST_CASE("InodeTable: children come in order of their names, and only a folder's own", "[fs][inode_table]") {
  InodeTable table;
  for (const char* name : {"c", "a", "b"}) AddFile(table, name);
  AddFile(table, "elsewhere", 9);
  CHECK(NamesOf(table.ChildrenOf(kRootFolder)) == Names{"a", "b", "c"});
  Names visited;
  table.VisitChildren(kRootFolder, "a", [&](const Node& node) {
    visited.push_back(node.slot.name);
    return true;
  });
  CHECK(visited == Names{"b", "c"});
}

TEST_CASE("InodeTable: written children are those that are written and attached", "[fs][inode_table]") {
  InodeTable table;
  const auto written = AddFile(table, "written");
  const auto gone = AddFile(table, "gone");
  const auto closed = AddFile(table, "closed");
  table.SetOpen(AddFile(table, "read"), SomeFile());
  for (const auto& node : {written, gone, closed}) {
    table.SetOpen(node, SomeFile());
    table.SetWritten(node, true);
  }
  table.Detach(gone);
  table.SetOpen(closed, nullptr);
  CHECK(NamesOf(table.WrittenChildrenOf(kRootFolder)) == Names{"written"});
}

TEST_CASE("InodeTable: of sorted names those that are known are found", "[fs][inode_table]") {
  InodeTable table;
  for (const char* name : {"b", "d", "e"}) AddFile(table, name);
  std::vector<size_t> places;
  table.FindSorted(kRootFolder, {"a", "b", "c", "e", "f"}, [&](size_t i, const Node&) { places.push_back(i); });
  CHECK(places == std::vector<size_t>{1, 3});
}

TEST_CASE("InodeTable: a control node is found by its key until it gets another", "[fs][inode_table]") {
  InodeTable table;
  const auto node = table.FindOrAddControl("i:a", NodeKind::kInboxFile, 5);
  CHECK(table.FindOrAddControl("i:a", NodeKind::kInboxFile, 5) == node);
  table.Rekey(node, "i:b");
  CHECK(table.FindControl("i:a") == nullptr);
  CHECK(table.FindControl("i:b") == node);
}

TEST_CASE("InodeTable: a folder counts the names that went", "[fs][inode_table]") {
  InodeTable table;
  const auto root = table.Find(kRootNode);
  root->MakeExtra().all_known_at = 5;
  table.Detach(AddFile(table, "a"));
  CHECK(root->extra().all_known_at == -1);
  CHECK(root->extra().detached == 1);
}

TEST_CASE("Node: an entry comes back as it was set", "[fs][inode_table]") {
  Entry link;
  link.kind = EntryKind::kSymlink;
  link.target = "somewhere";
  Entry file = Entry::OfFile(3, 4, 5);
  file.executable = file.scratch = file.unfinished = true;
  Entry folder = Entry::OfFolder(6);
  folder.permissions = 0;
  for (const Entry& entry : {file, folder, Entry::OfFolder(6), link}) {
    Node node;
    node.SetEntry(entry);
    CHECK(node.entry() == entry);
  }
}

}  // namespace stagefs::test

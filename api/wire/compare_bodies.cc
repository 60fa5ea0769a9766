#include "compare_bodies.h"

#include <utility>

#include "body_json.h"
#include "file_type.h"
#include "stagefs/text.h"
#include "status_bodies.h"

namespace stagefs {

using namespace wire;

namespace {

Json ToJson(const FileCounts& files) {
  return {{"added", files.added}, {"removed", files.removed}, {"modified", files.modified}};
}

Json ToJson(const ApartView& apart) {
  Json json = wire::ToJson(apart.commit);
  json["side"] = apart.of_base ? "base" : "head";
  return json;
}

// Where an entry is. The commit, which is in the answer once, is not repeated for each.
Json PlaceOf(const EntryView& entry, const RevisionView& revision) {
  Json json = ResourceOf(revision, entry.path);
  json["commit"] = nullptr;
  return json;
}

// As Oxen's clients read it here, where a member that they do not know is an error.
Json StrictEntry(const EntryView& entry, const RevisionView& revision) {
  Json json = wire::ToJson(entry, revision);
  json["resource"] = PlaceOf(entry, revision);
  json.erase("path_base64");
  return json;
}

const char* ModificationOf(DiffLine::Kind kind) {
  switch (kind) {
    case DiffLine::Kind::kRemoved: return "Removed";
    case DiffLine::Kind::kAdded: return "Added";
    case DiffLine::Kind::kSame:
    case DiffLine::Kind::kLeftOut: break;
  }
  return "Unchanged";
}

Json LinesJson(const DifferenceView& file, const Json& base_name, const Json& head_name) {
  Json lines = Json::array();
  for (const DiffLine& line : *file.lines) {
    lines.push_back({{"modification", ModificationOf(line.kind)},
                     {"text", line.kind == DiffLine::Kind::kLeftOut ? "..." : line.text}});
  }
  return {{"lines", std::move(lines)}, {"filename1", base_name}, {"filename2", head_name}};
}

Json ToJson(const DifferenceView& difference, const RevisionView& base, const RevisionView& head) {
  Json base_entry, head_entry, base_place, head_place, base_name, head_name;
  if (difference.base) {
    base_entry = StrictEntry(*difference.base, base);
    base_place = base_entry["resource"];
    base_name = base_entry["filename"];
  }
  if (difference.head) {
    head_entry = StrictEntry(*difference.head, head);
    head_place = head_entry["resource"];
    head_name = head_entry["filename"];
  }
  const EntryView& newest = difference.newest();
  Json json = {{"status", ToString(difference.kind)},
               {"data_type", newest.folder ? "dir" : FileTypeOf(difference.path).data_type},
               {"filename", ToDisplayUtf8(difference.path)}};
  AddExactPath(json, difference.path);
  json.update({{"is_dir", newest.folder},
               {"size", newest.size_bytes},
               {"head_resource", std::move(head_place)},
               {"base_resource", std::move(base_place)},
               {"head_entry", std::move(head_entry)},
               {"base_entry", std::move(base_entry)},
               {"diff_summary", nullptr},
               {"diff", nullptr}});
  if (difference.files) json["diff_summary"] = {{"dir", {{"file_counts", ToJson(*difference.files)}}}};
  if (difference.lines) json["diff"] = LinesJson(difference, base_name, head_name);
  return json;
}

Json Folder(const std::string& path, TreeChange::Kind kind) {
  Json json = {{"name", ToDisplayUtf8(path)}, {"status", ToString(kind)}};
  AddExactPath(json, path);
  return json;
}

}  // namespace

std::string ComparedCommitsBody(const CommitView& base, const CommitView& head, const std::vector<ApartView>& commits,
                                const PageView& page) {
  Json body = Base("success", kFound);
  AddPage(body, page);
  Json list = Json::array();
  for (const ApartView& commit : commits) list.push_back(ToJson(commit));
  body["compare"] = {{"base_commit", wire::ToJson(base)}, {"head_commit", wire::ToJson(head)}};
  body["compare"]["commits"] = std::move(list);
  return Dump(body);
}

std::string ComparedEntriesBody(const ComparisonView& comparison) {
  const auto& [base, head, files, folder, entries, page] = comparison;
  Json body = Base("success", kFound);
  AddPage(body, page);
  Json list = Json::array();
  for (const DifferenceView& entry : entries) list.push_back(ToJson(entry, base, head));
  body["compare"] = {{"base_commit", wire::ToJson(base.commit)},
                     {"head_commit", wire::ToJson(head.commit)},
                     {"counts", ToJson(files)}};
  body["compare"]["entries"] = std::move(list);
  body["compare"]["self"] = folder ? ToJson(*folder, base, head) : Json(nullptr);
  return Dump(body);
}

std::string ComparedFileBody(const FileComparisonView& comparison) {
  Json body = Base("success", kFound);
  body["compare"] = ToJson(comparison.file, comparison.base, comparison.head);
  return Dump(body);
}

Status ChangedFoldersBody::Begin() {
  std::string head = Dump(Base("success", kFound));
  head.back() = ',';
  return write_(head + "\"dirs\":[");
}

// `can_display` is true of a folder that has more in it than are listed: Oxen's server has it so.
Status ChangedFoldersBody::Add(const ChangedFolderView& folder) {
  Json json = Folder(folder.path, folder.kind);
  json["num_subdirs"] = folder.folders;
  json["can_display"] = folder.folders > ChangedFolderView::kChildrenMax;
  json["children"] = Json::array();
  for (const auto& [path, kind] : folder.children) json["children"].push_back(Folder(path, kind));
  const bool first = std::exchange(is_first_, false);
  return write_((first ? "" : ",") + Dump(json));
}

Status ChangedFoldersBody::End() { return write_("]}"); }

}  // namespace stagefs

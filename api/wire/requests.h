// What clients send as JSON, key by key.
// Errors of all: kInvalidArgument with a sentence for the client.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stagefs/history.h"
#include "stagefs/uploads.h"
#include "wire_object.h"

namespace stagefs {

struct NewRepository {
  std::string space, name;
  // What it begins with: path and contents, at most kFirstFilesMax (else kTooLarge).
  std::vector<std::pair<std::string, std::string>> files;
};
constexpr size_t kFirstFilesMax = 10'000;
Result<NewRepository> ReadNewRepository(std::string_view text);

struct NewBranch {
  std::string name;
  std::string from;  // A branch, or a commit's id.
  bool from_commit = false;
};
Result<NewBranch> ReadNewBranch(std::string_view text);

struct NewTag {
  NewBranch start;  // A branch's keys mean the same of a tag.
  std::string message;
  Author author;  // Oxen, where a key is missing.
};
Result<NewTag> ReadNewTag(std::string_view text);

// The id of the commit that a branch is to be at.
Result<std::string> ReadBranchHead(std::string_view text);

// Who merges: Oxen, where the body or a key is missing.
Result<Author> ReadMerger(std::string_view text);

struct NewWorkspace {
  std::string branch;
  std::optional<std::string> id, name;
};
Result<NewWorkspace> ReadNewWorkspace(std::string_view text);

struct NewCommit {
  std::string message;
  Author author;
};
Result<NewCommit> ReadNewCommit(std::string_view text);

// `new_path`, where something moves to, and what the commit says.
struct Move {
  std::string to;
  WireObject body;
};
Result<Move> ReadMove(std::string_view text);

// What is to be uploaded in pieces of `piece_bytes`, and where it is to be staged.
Result<UploadPlan> ReadUploadPlan(std::string_view text, uint64_t piece_bytes);

// An upload of which all pieces were sent.
struct CompleteFile {
  HashRef hash;
  std::string path;
  uint64_t chunks = 0;
  std::optional<std::string> workspace;
  bool update_timestamp = false;
};
Result<CompleteFile> ReadCompleteFile(std::string_view text);

}  // namespace stagefs

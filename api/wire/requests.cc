#include "requests.h"

namespace stagefs {
namespace {

// Who changes what, where a client does not say.
constexpr std::pair<const char*, const char*> kNobody{"Oxen", "oxen@oxen.ai"};

Error Bad(const std::string& what) { return Error(ErrorCode::kInvalidArgument, what); }

Result<NewRepository> ReadRepositoryKeys(std::string_view text) {
  STAGEFS_ASSIGN_OR_RETURN(const WireObject body, WireObject::Parse(text));
  NewRepository wanted;
  STAGEFS_ASSIGN_OR_RETURN(wanted.space, body.Text("namespace"));
  STAGEFS_ASSIGN_OR_RETURN(wanted.name, body.Text("name"));
  STAGEFS_ASSIGN_OR_RETURN(const auto files, body.Objects("files"));
  if (files.size() > kFirstFilesMax) {
    return Error(ErrorCode::kTooLarge, "more than " + std::to_string(kFirstFilesMax) + " files");
  }
  for (const WireObject& file : files) {
    STAGEFS_ASSIGN_OR_RETURN(std::string path, file.Text("path"));
    STAGEFS_ASSIGN_OR_RETURN(std::string contents, file.Text("contents"));
    wanted.files.emplace_back(std::move(path), std::move(contents));
  }
  return wanted;
}

Result<CompleteFile> ReadFile(const WireObject& body, const WireObject& file) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string hash, file.Text("hash"));
  STAGEFS_ASSIGN_OR_RETURN(const std::string name, file.Text("file_name"));
  STAGEFS_ASSIGN_OR_RETURN(const auto directory, file.OptionalText("dst_dir"));
  STAGEFS_ASSIGN_OR_RETURN(const auto chunks, file.OptionalNumber("num_chunks"));
  STAGEFS_ASSIGN_OR_RETURN(auto workspace, body.OptionalText("workspace_id"));
  STAGEFS_ASSIGN_OR_RETURN(const HashRef ref, HashRef::Parse(hash));
  return CompleteFile{ref, JoinPath(directory.value_or(""), name), chunks.value_or(0), std::move(workspace),
                      body.Flag("update_timestamp")};
}

// A name for what a branch or a commit is now.
Result<NewBranch> ReadStart(const WireObject& body) {
  NewBranch wanted;
  STAGEFS_ASSIGN_OR_RETURN(wanted.name, body.Text("new_name"));
  const auto from_name = body.OptionalText("from_name");
  const auto commit_id = body.OptionalText("commit_id");
  if (!from_name || !commit_id) return Bad("from_name and commit_id are strings");
  if (!*from_name && !*commit_id) return Bad("send from_name or commit_id");
  wanted.from_commit = commit_id->has_value();
  wanted.from = wanted.from_commit ? **commit_id : **from_name;
  return wanted;
}

}  // namespace

Result<NewRepository> ReadNewRepository(std::string_view text) {
  auto wanted = ReadRepositoryKeys(text);
  if (!wanted) return wanted.error().In("Invalid JSON");
  return wanted;
}

Result<NewBranch> ReadNewBranch(std::string_view text) {
  STAGEFS_ASSIGN_OR_RETURN(const WireObject body, WireObject::Parse(text));
  return ReadStart(body);
}

Result<NewTag> ReadNewTag(std::string_view text) {
  STAGEFS_ASSIGN_OR_RETURN(const WireObject body, WireObject::Parse(text));
  NewTag wanted;
  STAGEFS_ASSIGN_OR_RETURN(wanted.start, ReadStart(body));
  STAGEFS_ASSIGN_OR_RETURN(const auto message, body.OptionalText("message"));
  STAGEFS_ASSIGN_OR_RETURN(const auto author, body.OptionalText("author"));
  STAGEFS_ASSIGN_OR_RETURN(const auto email, body.OptionalText("email"));
  wanted.message = message.value_or("");
  wanted.author = {author.value_or(kNobody.first), email.value_or(kNobody.second)};
  return wanted;
}

Result<std::string> ReadBranchHead(std::string_view text) {
  STAGEFS_ASSIGN_OR_RETURN(const WireObject body, WireObject::Parse(text));
  return body.Text("commit_id");
}

Result<Author> ReadMerger(std::string_view text) {
  Author author{kNobody.first, kNobody.second};
  if (text.empty()) return author;
  STAGEFS_ASSIGN_OR_RETURN(const WireObject body, WireObject::Parse(text));
  STAGEFS_ASSIGN_OR_RETURN(const auto name, body.OptionalText("name"));
  STAGEFS_ASSIGN_OR_RETURN(const auto email, body.OptionalText("email"));
  return Author{name.value_or(author.name), email.value_or(author.email)};
}

Result<NewWorkspace> ReadNewWorkspace(std::string_view text) {
  STAGEFS_ASSIGN_OR_RETURN(const WireObject body, WireObject::Parse(text));
  NewWorkspace wanted;
  STAGEFS_ASSIGN_OR_RETURN(wanted.branch, body.Text("branch_name"));
  STAGEFS_ASSIGN_OR_RETURN(wanted.id, body.OptionalText("workspace_id"));
  STAGEFS_ASSIGN_OR_RETURN(wanted.name, body.OptionalText("name"));
  if (wanted.name == "") wanted.name.reset();
  return wanted;
}

Result<NewCommit> ReadNewCommit(std::string_view text) {
  STAGEFS_ASSIGN_OR_RETURN(const WireObject body, WireObject::Parse(text));
  NewCommit wanted;
  STAGEFS_ASSIGN_OR_RETURN(wanted.message, body.Text("message"));
  STAGEFS_ASSIGN_OR_RETURN(wanted.author.name, body.Text("author"));
  STAGEFS_ASSIGN_OR_RETURN(wanted.author.email, body.Text("email"));
  return wanted;
}

Result<Move> ReadMove(std::string_view text) {
  STAGEFS_ASSIGN_OR_RETURN(WireObject body, WireObject::Parse(text));
  STAGEFS_ASSIGN_OR_RETURN(std::string to, body.Text("new_path"));
  if (to.empty()) return Bad("new_path cannot be empty");
  return Move{std::move(to), std::move(body)};
}

Result<UploadPlan> ReadUploadPlan(std::string_view text, uint64_t piece_bytes) {
  STAGEFS_ASSIGN_OR_RETURN(const WireObject body, WireObject::Parse(text));
  UploadPlan plan;
  plan.piece_bytes = piece_bytes;
  STAGEFS_ASSIGN_OR_RETURN(plan.hash, body.Text("hash"));
  STAGEFS_RETURN_IF_ERROR(HashRef::Parse(plan.hash));
  const auto size = body.OptionalNumber("size");
  if (!size || !*size) return Bad("`size` is a whole number from 0");
  plan.size_bytes = **size;
  STAGEFS_ASSIGN_OR_RETURN(const auto destination, body.OptionalObject("destination"));
  if (!destination) return plan;
  STAGEFS_ASSIGN_OR_RETURN(plan.workspace, destination->Text("workspace_id"));
  STAGEFS_ASSIGN_OR_RETURN(plan.path, destination->Text("path"));
  STAGEFS_RETURN_IF_ERROR(RepoPath::Parse(plan.path));
  return plan;
}

Result<CompleteFile> ReadCompleteFile(std::string_view text) {
  const auto body = WireObject::Parse(text);
  const auto files = body ? body->Objects("files") : Result<std::vector<WireObject>>(body.error());
  if (!files) return Bad("Invalid request body");
  if (files->size() != 1) return Bad("Expected a single file in the request");
  auto file = ReadFile(*body, files->front());
  if (!file) return Bad("Invalid request body");
  return file;
}

}  // namespace stagefs

#include "form.h"

#include "wire/multipart.h"
#include "wire/read_text.h"

namespace stagefs {
namespace {

constexpr size_t kFieldBytesMax = 1 << 20;
constexpr size_t kFieldsMax = 100;

// Takes the parts of a form, and stores its files in groups.
class FormReader {
 public:
  explicit FormReader(Repository& repository) : repository_(repository) {}

  Status Take(const Part& part, ByteSource& bytes) {
    return part.filename.empty() ? TakeField(part, bytes) : TakeFile(part, bytes);
  }

  Status Store() {
    if (group_.empty()) return {};
    STAGEFS_ASSIGN_OR_RETURN(const auto versions, repository_.Adopt(std::move(group_)));
    for (size_t i = 0; i < versions.size(); ++i) {
      named_[i].version = versions[i];
      form_.files.push_back(std::move(named_[i]));
    }
    group_.clear();
    named_.clear();
    return {};
  }

  Form Finish() { return std::move(form_); }

 private:
  Status TakeField(const Part& part, ByteSource& bytes) {
    if (part.name == "file" || part.name == "file[]" || part.name == "files[]") {
      return Error(ErrorCode::kInvalidArgument, "a file without a filename");
    }
    STAGEFS_ASSIGN_OR_RETURN(form_.fields[part.name], ReadText(bytes, kFieldBytesMax));
    if (form_.fields.size() <= kFieldsMax) return {};
    return Error(ErrorCode::kTooLarge, "more than " + std::to_string(kFieldsMax) + " fields");
  }

  Status TakeFile(const Part& part, ByteSource& bytes) {
    STAGEFS_ASSIGN_OR_RETURN(IncomingFile file, repository_.NewIncoming());
    STAGEFS_RETURN_IF_ERROR(file.WriteFrom(bytes));
    file.Close();
    group_.push_back(std::move(file));
    named_.push_back({part.name, part.filename, {}});
    return group_.size() < kGroupFilesMax ? Status() : Store();
  }

  Repository& repository_;
  Form form_;
  // Written, and not stored yet.
  std::vector<IncomingFile> group_;
  std::vector<Form::File> named_;
};

}  // namespace

std::string Form::Field(const std::string& name, const std::string& otherwise) const {
  const auto found = fields.find(name);
  return found == fields.end() || found->second.empty() ? otherwise : found->second;
}

Status ReadParts(const Call& call, const std::function<Status(const Part&, ByteSource&)>& visit) {
  return ReadMultipart(*call.request.body, call.request.Header("content-type"), call.body_bytes_max, visit);
}

Result<Form> ReadForm(const Call& call) {
  FormReader reader(*call.repository);
  STAGEFS_RETURN_IF_ERROR(
      ReadParts(call, [&](const Part& part, ByteSource& bytes) { return reader.Take(part, bytes); }));
  STAGEFS_RETURN_IF_ERROR(reader.Store());
  return reader.Finish();
}

}  // namespace stagefs

#include "stagefs/content_hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cassert>
#include <cstring>

namespace stagefs {
namespace {

constexpr size_t kSha256Digits = 64;
constexpr size_t kXxh3Digits = 32;
// Shorter hex is a plausible file name; a link target that short is taken for a path.
constexpr size_t kXxh3DigitsUnmistakable = 28;

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <size_t N>
std::string_view View(const std::array<uint8_t, N>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), N};
}

// Reads `text` right-aligned, so that missing leading zeros do not matter.
template <size_t N>
bool ParseHex(std::string_view text, std::array<uint8_t, N>* bytes) {
  if (text.empty() || text.size() > 2 * N) return false;
  bytes->fill(0);
  size_t nibble = 2 * N - text.size();
  for (char c : text) {
    const int value = HexValue(c);
    if (value < 0) return false;
    (*bytes)[nibble / 2] |= static_cast<uint8_t>(nibble % 2 == 0 ? value << 4 : value);
    ++nibble;
  }
  return true;
}

Error BadHash(std::string_view text) {
  return Error(ErrorCode::kInvalidArgument,
               "'" + std::string(text.substr(0, 80)) +
                   "' is not a content hash: use 64 hex digits (SHA-256) or 1 to 32 (XXH3-128)");
}

}  // namespace

std::string HexOf(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const unsigned char byte : bytes) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

std::string ToHex(const Sha256& hash) { return HexOf(View(hash)); }

std::string ToHex(const Xxh3& hash) {
  const std::string padded = HexOf(View(hash));
  const size_t first = padded.find_first_not_of('0');
  return first == std::string::npos ? "0" : padded.substr(first);
}

Result<HashRef> HashRef::Parse(std::string_view text) {
  std::string_view digits = text;
  bool want_sha256 = text.size() == kSha256Digits;
  if (text.starts_with("sha256:")) {
    digits.remove_prefix(7);
    want_sha256 = true;
  } else if (text.starts_with("xxh3:")) {
    digits.remove_prefix(5);
    want_sha256 = false;
  } else if (text.starts_with("xxh128:")) {
    digits.remove_prefix(7);
    want_sha256 = false;
  }
  if (want_sha256) {
    Sha256 hash;
    if (digits.size() != kSha256Digits || !ParseHex(digits, &hash)) return BadHash(text);
    return HashRef(hash);
  }
  Xxh3 hash;
  if (!ParseHex(digits, &hash)) return BadHash(text);
  return HashRef(hash);
}

Result<HashRef> HashRef::ParseFull(std::string_view text) {
  const bool prefixed = text.find(':') != std::string_view::npos;
  const bool unmistakable =
      text.size() == kSha256Digits || (text.size() >= kXxh3DigitsUnmistakable && text.size() <= kXxh3Digits);
  if (!prefixed && !unmistakable) return BadHash(text);
  return Parse(text);
}

bool HashRef::Names(const ContentId& content) const {
  return sha256() != nullptr ? *sha256() == content.sha256 : *xxh3() == content.xxh3;
}

std::string HashRef::ToString() const { return sha256() ? ToHex(*sha256()) : ToHex(*xxh3()); }

struct ContentHasher::State {
  EVP_MD_CTX* sha256 = EVP_MD_CTX_new();
  XXH3_state_t* xxh3 = XXH3_createState();

  State() {
    EVP_DigestInit_ex(sha256, EVP_sha256(), nullptr);
    XXH3_128bits_reset(xxh3);
  }
  ~State() {
    EVP_MD_CTX_free(sha256);
    XXH3_freeState(xxh3);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

uint64_t HashOfName(std::string_view name, uint64_t seed) {
  return XXH3_64bits_withSeed(name.data(), name.size(), seed);
}

ContentHasher::ContentHasher() : state_(std::make_unique<State>()) {}
ContentHasher::~ContentHasher() = default;
ContentHasher::ContentHasher(ContentHasher&&) noexcept = default;
ContentHasher& ContentHasher::operator=(ContentHasher&&) noexcept = default;

void ContentHasher::Update(const void* data, size_t size_bytes) {
  EVP_DigestUpdate(state_->sha256, data, size_bytes);
  XXH3_128bits_update(state_->xxh3, data, size_bytes);
}

void ContentHasher::UpdateZeros(uint64_t size_bytes) {
  static const std::array<char, 64 << 10> kZeros{};
  for (; size_bytes > kZeros.size(); size_bytes -= kZeros.size()) Update(kZeros.data(), kZeros.size());
  Update(kZeros.data(), size_bytes);
}

ContentId ContentHasher::Finish() const {
  ContentId id;
  EVP_MD_CTX* copy = EVP_MD_CTX_new();
  EVP_MD_CTX_copy_ex(copy, state_->sha256);
  unsigned int size = 0;
  EVP_DigestFinal_ex(copy, id.sha256.data(), &size);
  assert(size == id.sha256.size());
  EVP_MD_CTX_free(copy);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxh3));
  static_assert(sizeof(canonical.digest) == sizeof(Xxh3));
  std::memcpy(id.xxh3.data(), canonical.digest, sizeof(canonical.digest));
  return id;
}

const ContentId& EmptyContent() {
  static const ContentId kEmpty = ContentHasher().Finish();
  return kEmpty;
}

Sha256 Sha256Of(std::string_view bytes) {
  Sha256 hash;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), hash.data());
  return hash;
}

Sha256 HmacSha256(std::string_view key, std::string_view text) {
  Sha256 code;
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), code.data(), &size);
  assert(size == code.size());
  return code;
}

}  // namespace stagefs

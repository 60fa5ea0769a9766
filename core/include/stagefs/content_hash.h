// The two hashes every version is known by, their spellings, and the one-pass hasher.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "stagefs/result.h"

namespace stagefs {

// SHA-256 is a version's identity and its file name in the store.
using Sha256 = std::array<uint8_t, 32>;

// XXH3-128 (seed 0, canonical big-endian bytes) is an alias, as Oxen uses it.
using Xxh3 = std::array<uint8_t, 16>;

struct ContentId {
  Sha256 sha256{};
  Xxh3 xxh3{};
  bool operator==(const ContentId&) const = default;
};

inline std::string_view BytesOf(const Sha256& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}
inline std::string_view BytesOf(const Xxh3& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

// Two lower-case hex digits a byte.
std::string HexOf(std::string_view bytes);

// 64 lower-case hex digits.
std::string ToHex(const Sha256& hash);

// Lower-case hex without leading zeros (1–32 digits), as Oxen prints it.
std::string ToHex(const Xxh3& hash);

// 64 bits of a name or of other text, the same on every machine: no content is known by it.
uint64_t HashOfName(std::string_view name, uint64_t seed = 0);

// A hash as a person or a client names it: either kind.
//
// Accepted, in either case: 64 hex digits = SHA-256; 1–32 hex digits = XXH3-128, with or without leading
// zeros; `sha256:HEX` and `xxh3:HEX` (also `xxh128:HEX`) always.
class HashRef {
 public:
  explicit HashRef(const Sha256& hash) : hash_(hash) {}
  explicit HashRef(const Xxh3& hash) : hash_(hash) {}

  // Errors: kInvalidArgument, naming the text and what a hash looks like.
  static Result<HashRef> Parse(std::string_view text);

  // Parses `text` only if no reader could take it for an ordinary name: 64 or 28–32 digits, or prefixed.
  // Symbolic link targets are read this way.
  static Result<HashRef> ParseFull(std::string_view text);

  const Sha256* sha256() const { return std::get_if<Sha256>(&hash_); }
  const Xxh3* xxh3() const { return std::get_if<Xxh3>(&hash_); }
  // Whether this is one of the content's two hashes.
  bool Names(const ContentId& content) const;
  std::string ToString() const;

 private:
  std::variant<Sha256, Xxh3> hash_;
};

// Computes both hashes in one pass. Not safe for concurrent use.
class ContentHasher {
 public:
  ContentHasher();
  ~ContentHasher();
  ContentHasher(ContentHasher&&) noexcept;
  ContentHasher& operator=(ContentHasher&&) noexcept;

  void Update(const void* data, size_t size_bytes);
  void UpdateZeros(uint64_t size_bytes);

  // The hashes of all bytes so far. The hasher can go on: more Update() and another Finish() are fine.
  ContentId Finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The version every store has: no bytes at all.
const ContentId& EmptyContent();

Sha256 Sha256Of(std::string_view bytes);
// RFC 2104, with SHA-256.
Sha256 HmacSha256(std::string_view key, std::string_view text);

}  // namespace stagefs

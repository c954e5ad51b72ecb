// Memory that is taken once: anonymous arenas and mapped files.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <memory>
#include <string>

namespace loquent {

/** Zeroed, page-aligned memory, on huge pages where the system grants them; given back with the last owner. */
class Memory {
 public:
  static std::shared_ptr<Memory> reserve(size_t bytes);
  /** Maps a file for reading; writes to the pages stay private. */
  static std::shared_ptr<Memory> mapFile(const std::string& path);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  Memory(uint8_t* data, size_t bytes) : data_(data), bytes_(bytes) {}
  uint8_t* data_;
  size_t bytes_;
};

}  // namespace loquent

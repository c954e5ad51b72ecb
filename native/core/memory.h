// Memory that is taken once: anonymous arenas and mapped files.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <memory>
#include <string>
#include <vector>

namespace loquent {

/** Zeroed, page-aligned memory, on huge pages where the system grants them; given back with the last owner. */
class Memory {
 public:
  /** `nodes`: NUMA nodes to take the pages from, one after another; none: the system decides. */
  static std::shared_ptr<Memory> reserve(size_t bytes, const std::vector<int32_t>& nodes = {});
  /** Maps a file for reading; writes to the pages stay private. */
  static std::shared_ptr<Memory> mapFile(const std::string& path);
  /**
   * Lets go of the pages of a mapped file around these bytes, which are read from the file again when they are next looked at.
   * Nothing happens to bytes that are of no mapped file.
   */
  static void drop(const uint8_t* data, size_t bytes);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void place(const std::vector<int32_t>& nodes);
  Memory(uint8_t* data, size_t bytes, bool file = false) : data_(data), bytes_(bytes), file_(file) {}
  uint8_t* data_;
  size_t bytes_;
  bool file_;
};

}  // namespace loquent

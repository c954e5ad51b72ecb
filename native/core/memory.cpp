#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>

namespace loquent {

namespace {

/** Files mapped into this process, by address: only their pages may be dropped, as any others would be lost. */
struct Files {
  std::mutex mutex;
  std::map<uintptr_t, size_t> bytes;
};
Files& files() {
  static Files all;
  return all;
}

}  // namespace

std::shared_ptr<Memory> Memory::reserve(size_t bytes) {
  if (bytes == 0) return std::shared_ptr<Memory>(new Memory(nullptr, 0));
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    throw std::runtime_error("cannot reserve " + std::to_string(bytes) + " bytes: " + strerror(errno));
  }
#ifdef MADV_HUGEPAGE
  // Advice only: without huge pages a matrix that streams past costs a page walk every 4 KiB.
  madvise(p, bytes, MADV_HUGEPAGE);
#endif
  return std::shared_ptr<Memory>(new Memory(static_cast<uint8_t*>(p), bytes));
}

std::shared_ptr<Memory> Memory::mapFile(const std::string& path) {
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw std::runtime_error("cannot open " + path + ": " + strerror(errno));
  struct stat status;
  void* p = nullptr;
  int error = fstat(file, &status) == 0 ? 0 : errno;
  size_t bytes = error ? 0 : static_cast<size_t>(status.st_size);
  if (!error && !S_ISREG(status.st_mode)) error = EISDIR;
  if (!error && bytes > 0) {
    p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    if (p == MAP_FAILED) error = errno;
  }
  close(file);
  if (error) throw std::runtime_error("cannot map " + path + ": " + strerror(error));
  if (p) {
    std::lock_guard<std::mutex> lock(files().mutex);
    files().bytes[reinterpret_cast<uintptr_t>(p)] = bytes;
  }
  return std::shared_ptr<Memory>(new Memory(static_cast<uint8_t*>(p), bytes, true));
}

void Memory::drop(const uint8_t* data, size_t bytes) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), at = reinterpret_cast<uintptr_t>(data);
  std::lock_guard<std::mutex> lock(files().mutex);
  auto file = files().bytes.upper_bound(at);
  if (file == files().bytes.begin()) return;
  --file;
  const uintptr_t end = file->first + file->second;
  if (at >= end || bytes == 0) return;
  const uintptr_t first = at / page * page, last = (std::min(at + bytes, end) + page - 1) / page * page;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

Memory::~Memory() {
  if (!data_) return;
  if (file_) {
    std::lock_guard<std::mutex> lock(files().mutex);
    files().bytes.erase(reinterpret_cast<uintptr_t>(data_));
  }
  munmap(data_, bytes_);
}

}  // namespace loquent

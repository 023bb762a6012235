// Memory of coroutine frames. Sessions make and drop many small frames of the same few sizes, so freed
// ones are kept on short lists by size class. Debug builds fill a freed frame, so that a use after it
// shows at once; sanitizer builds go to the allocator for every frame, so that they can see one.
#include "lib/event/task.h"

#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#define POSTHOUSE_FRAME_LISTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POSTHOUSE_FRAME_LISTS 0
#endif
#endif
#ifndef POSTHOUSE_FRAME_LISTS
#define POSTHOUSE_FRAME_LISTS 1
#endif

namespace posthouse::task_detail {

namespace {
constexpr size_t granule = 128;
constexpr size_t classes = 16;     // frames up to 2 KB
constexpr size_t keep_at_most = 64; // of each class

struct FreeFrame {
    FreeFrame* next;
};
struct FreeList {
    FreeFrame* first = nullptr;
    size_t count = 0;
};
thread_local FreeList free_lists[classes];

size_t class_of(size_t size) { return (size + granule - 1) / granule - 1; }
} // namespace

void* allocate_frame(size_t size)
{
    const size_t index = class_of(size);
    if (!POSTHOUSE_FRAME_LISTS || index >= classes)
        return ::operator new(size);
    FreeList& list = free_lists[index];
    if (!list.first)
        return ::operator new((index + 1) * granule);
    FreeFrame* frame = list.first;
    list.first = frame->next;
    --list.count;
    return frame;
}

void free_frame(void* frame, size_t size) noexcept
{
#ifndef NDEBUG
    std::memset(frame, 0xDD, size);
#endif
    const size_t index = class_of(size);
    if (!POSTHOUSE_FRAME_LISTS || index >= classes || free_lists[index].count >= keep_at_most) {
        ::operator delete(frame);
        return;
    }
    FreeList& list = free_lists[index];
    list.first = new (frame) FreeFrame{list.first};
    ++list.count;
}

} // namespace posthouse::task_detail

/* Executes file system calls named on standard input, one a line, and prints the errno of each.
 *
 * A line is an operation and its arguments, separated by tabs; `%XX` stands for a byte. The answer is
 * `<errno>` or `<errno>\t<data>`, again with `%XX`. What the calls did is judged on the host. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#endif
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#define RENAME_WHITEOUT 4
#endif

static const char EVIL[] = "evil\n";
static char data[65536];

/* A call of this architecture, or ENOSYS where it has no such number. */
#ifdef SYS_open
#define LEGACY(name, ...) syscall(SYS_##name, __VA_ARGS__)
#else
#define LEGACY(name, ...) (errno = ENOSYS, -1L)
#endif

static int result(long value) { return value < 0 ? errno : 0; }

/* The descriptor of the directory above, and the name in it. */
static int above(const char *path, const char **name)
{
	char *copy = strdup(path);
	char *slash = strrchr(copy, '/');
	if (!slash) {
		free(copy);
		*name = path;
		return open(".", O_PATH | O_CLOEXEC);
	}
	*name = path + (slash - copy) + 1;
	slash[slash == copy] = 0;
	int dir = open(copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int kept = errno;
	free(copy);
	errno = kept;
	return dir;
}

static int end_fd(long fd, const char *content)
{
	if (fd < 0)
		return errno;
	int error = 0;
	if (content && write(fd, content, strlen(content)) < 0)
		error = errno;
	close(fd);
	return error;
}

static int at_open(const char *path, int flags, const char *content)
{
	const char *name;
	int dir = above(path, &name);
	if (dir < 0)
		return errno;
	int error = end_fd(syscall(SYS_openat, dir, name, flags | O_CLOEXEC, 0644), content);
	close(dir);
	return error;
}

static int open2(const char *path, int flags, const char *content, unsigned long long resolve)
{
	unsigned long long how[3] = {flags | O_CLOEXEC, flags & O_CREAT ? 0644 : 0, resolve};
	return end_fd(syscall(SYS_openat2, AT_FDCWD, path, how, sizeof how), content);
}

/* What a descriptor delivers, as data of the answer. */
static int deliver(long fd)
{
	if (fd < 0)
		return errno;
	ssize_t size = read(fd, data, sizeof data - 1);
	int error = size < 0 ? errno : 0;
	data[size < 0 ? 0 : size] = 0;
	close(fd);
	return error;
}

static int list(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir)
		return errno;
	size_t used = 0;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			used += snprintf(data + used, sizeof data - used, "%s/", entry->d_name);
	closedir(dir);
	return 0;
}

static int by_handle(const char *path)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + 128];
	} it;
	it.handle.handle_bytes = 128;
	int mount;
	if (name_to_handle_at(AT_FDCWD, path, &it.handle, &mount, 0))
		return errno;
	int base = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = open_by_handle_at(base, &it.handle, O_RDONLY);
	int error = errno;
	close(base);
	errno = error;
	return deliver(fd);
}

static int bind_at(const char *path)
{
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return errno;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *name;
	int dir = above(path, &name);
	if (dir < 0) {
		int error = errno;
		close(sock);
		return error;
	}
	if (snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir, name) >= 108)
		errno = ENAMETOOLONG;
	int error = result(bind(sock, (struct sockaddr *)&address, sizeof address));
	close(dir);
	close(sock);
	return error;
}

/* An unnamed file of the directory above, given the name. */
static int tmpfile_link(const char *path, int flag)
{
	const char *name;
	int dir = above(path, &name);
	if (dir < 0)
		return errno;
	char real[64];
	snprintf(real, sizeof real, "/proc/self/fd/%d", dir);
	int fd = open(real, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	int error = fd < 0 ? errno : 0;
	if (fd >= 0) {
		if (write(fd, EVIL, strlen(EVIL)) < 0)
			error = errno;
		char link[64] = "";
		if (flag == AT_SYMLINK_FOLLOW)
			snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		error = result(syscall(SYS_linkat, flag == AT_EMPTY_PATH ? fd : AT_FDCWD, link, dir, name, flag));
		close(fd);
	}
	close(dir);
	return error;
}

static int rename_flags(const char *from, const char *to, unsigned flags)
{
	const char *first, *second;
	int source = above(from, &first);
	if (source < 0)
		return errno;
	int target = above(to, &second);
	int error = target < 0 ? errno : result(syscall(SYS_renameat2, source, first, target, second, flags));
	close(source);
	if (target >= 0)
		close(target);
	return error;
}

static int map_write(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno;
	/* A page beyond the end of a file can't be touched. */
	struct stat found;
	if (!fstat(fd, &found) && found.st_size < 4 && ftruncate(fd, 4)) {
		close(fd);
		return EIO;
	}
	char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int error = page == MAP_FAILED ? errno : 0;
	if (!error) {
		memcpy(page, "evil", 4);
		munmap(page, 4096);
	}
	close(fd);
	return error;
}

/* Metadata by a descriptor that was opened for reading alone. */
static int by_reader(const char *path, char what)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno;
	int error;
	char real[64];
	snprintf(real, sizeof real, "/proc/self/fd/%d", fd);
	struct timespec times[2] = {{1, 0}, {2, 0}};
	int flags = 0;
	switch (what) {
	case 'm': error = result(fchmod(fd, 0777)); break;
	case 'M': error = result(chmod(real, 0777)); break;
	case 'o': error = result(fchown(fd, getuid(), getgid())); break;
	case 't': error = result(futimens(fd, times)); break;
	case 'x': error = result(fsetxattr(fd, "user.evil", "x", 1, 0)); break;
	case 'w': error = end_fd(open(real, O_WRONLY | O_TRUNC | O_CLOEXEC), EVIL); break;
	case 'T': error = result(truncate(real, 1)); break;
	case 'f':
		error = result(ioctl(fd, FS_IOC_GETFLAGS, &flags));
		flags ^= FS_NODUMP_FL;
		if (!error)
			error = result(ioctl(fd, FS_IOC_SETFLAGS, &flags));
		break;
	case 'e': error = result(syscall(SYS_fchmodat2, fd, "", 0777, AT_EMPTY_PATH)); break;
	default: error = EINVAL;
	}
	close(fd);
	return error;
}

static int remove_all(const char *path)
{
	struct stat found;
	if (lstat(path, &found))
		return errno == ENOENT ? 0 : errno;
	if (!S_ISDIR(found.st_mode))
		return result(unlink(path));
	DIR *dir = opendir(path);
	if (!dir)
		return errno;
	int error = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		char inner[8192];
		snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
		int one = remove_all(inner);
		if (one && !error)
			error = one;
	}
	closedir(dir);
	return error ? error : result(rmdir(path));
}

static int make_all(const char *path)
{
	char copy[8192];
	snprintf(copy, sizeof copy, "%s", path);
	for (char *slash = copy + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		if (mkdir(copy, 0755) && errno != EEXIST)
			return errno;
		*slash = '/';
	}
	return mkdir(copy, 0755) && errno != EEXIST ? errno : 0;
}

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

#define IS(text) (!strcmp(op, text))
#define WITH_PARENT(call) \
	({ const char *name; int dir = above(a, &name); int error = dir < 0 ? errno : result(call); \
	   close_if(dir); error; })

static int one(const char *op, const char *a, const char *b)
{
	struct timespec times[2] = {{1, 0}, {2, 0}};
	struct timeval old[2] = {{1, 0}, {2, 0}};
	struct stat found;
	/* Reading. */
	if (IS("read")) return deliver(open(a, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	if (IS("open")) return deliver(LEGACY(open, a, O_RDONLY | O_NONBLOCK, 0));
	if (IS("readat")) { const char *name; int dir = above(a, &name); if (dir < 0) return errno;
		int fd = openat(dir, name, O_RDONLY | O_NONBLOCK); int error = errno; close(dir); errno = error; return deliver(fd); }
	if (IS("read2")) { unsigned long long how[3] = {O_RDONLY | O_NONBLOCK, 0, 0};
		return deliver(syscall(SYS_openat2, AT_FDCWD, a, how, sizeof how)); }
	if (IS("readroot")) { char path[8192]; snprintf(path, sizeof path, "/proc/self/root%s", a);
		return deliver(open(path, O_RDONLY | O_NONBLOCK)); }
	if (IS("handle")) return by_handle(a);
	if (IS("list")) return list(a);
	if (IS("stat")) return result(lstat(a, &found));
	if (IS("chdir")) return result(chdir(a));
	if (IS("readlink")) { ssize_t size = readlink(a, data, sizeof data - 1); if (size >= 0) data[size] = 0; return result(size); }
	/* Opening to write. */
	if (IS("openat_creat")) return end_fd(syscall(SYS_openat, AT_FDCWD, a, O_WRONLY | O_CREAT, 0644), EVIL);
	if (IS("openat_at_creat")) return at_open(a, O_WRONLY | O_CREAT, EVIL);
	if (IS("openat_excl")) return at_open(a, O_WRONLY | O_CREAT | O_EXCL, EVIL);
	if (IS("openat_rdonly_creat")) return at_open(a, O_RDONLY | O_CREAT, 0);
	if (IS("openat_rdonly_trunc")) return at_open(a, O_RDONLY | O_TRUNC, 0);
	if (IS("openat_trunc")) return end_fd(syscall(SYS_openat, AT_FDCWD, a, O_WRONLY | O_CREAT | O_TRUNC, 0644), EVIL);
	if (IS("openat_append")) return at_open(a, O_WRONLY | O_APPEND, EVIL);
	if (IS("openat_wronly")) return at_open(a, O_WRONLY, EVIL);
	if (IS("openat_rdwr")) return at_open(a, O_RDWR, EVIL);
	if (IS("openat_accmode3")) return at_open(a, 3, 0);
	if (IS("open_creat")) return end_fd(LEGACY(open, a, O_WRONLY | O_CREAT, 0644), EVIL);
	if (IS("creat")) return end_fd(LEGACY(creat, a, 0644), EVIL);
	if (IS("openat2_creat")) return open2(a, O_WRONLY | O_CREAT, EVIL, 0);
	if (IS("openat2_trunc")) return open2(a, O_WRONLY | O_TRUNC, EVIL, 0);
	if (IS("tmpfile_link")) return tmpfile_link(a, AT_SYMLINK_FOLLOW);
	if (IS("tmpfile_link_empty")) return tmpfile_link(a, AT_EMPTY_PATH);
	if (IS("map_write")) return map_write(a);
	/* Making. */
	if (IS("mkdir")) return result(LEGACY(mkdir, a, 0755));
	if (IS("mkdirat")) return WITH_PARENT(syscall(SYS_mkdirat, dir, name, 0755));
	if (IS("mknod_fifo")) return result(LEGACY(mknod, a, S_IFIFO | 0644, 0));
	if (IS("mknodat_fifo")) return WITH_PARENT(syscall(SYS_mknodat, dir, name, S_IFIFO | 0644, 0));
	if (IS("mknodat_file")) return WITH_PARENT(syscall(SYS_mknodat, dir, name, S_IFREG | 0644, 0));
	if (IS("mknodat_socket")) return WITH_PARENT(syscall(SYS_mknodat, dir, name, S_IFSOCK | 0644, 0));
	if (IS("mknodat_device")) return WITH_PARENT(syscall(SYS_mknodat, dir, name, S_IFCHR | 0666, 0x103));
	if (IS("bind")) return bind_at(a);
	if (IS("symlink")) return result(LEGACY(symlink, b, a));
	if (IS("symlinkat")) return WITH_PARENT(syscall(SYS_symlinkat, b, dir, name));
	/* Two names. */
	if (IS("rename")) return result(LEGACY(rename, a, b));
	if (IS("renameat")) return result(
#ifdef SYS_renameat
		syscall(SYS_renameat, AT_FDCWD, a, AT_FDCWD, b)
#else
		syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 0)
#endif
	);
	if (IS("renameat2")) return rename_flags(a, b, 0);
	if (IS("rename_noreplace")) return rename_flags(a, b, RENAME_NOREPLACE);
	if (IS("rename_exchange")) return rename_flags(a, b, RENAME_EXCHANGE);
	if (IS("rename_whiteout")) return rename_flags(a, b, RENAME_WHITEOUT);
	if (IS("link")) return result(LEGACY(link, a, b));
	if (IS("linkat")) return result(syscall(SYS_linkat, AT_FDCWD, a, AT_FDCWD, b, 0));
	if (IS("linkat_follow")) return result(syscall(SYS_linkat, AT_FDCWD, a, AT_FDCWD, b, AT_SYMLINK_FOLLOW));
	if (IS("linkat_fd")) { int fd = open(a, O_PATH | O_CLOEXEC); if (fd < 0) return errno; char real[64];
		snprintf(real, sizeof real, "/proc/self/fd/%d", fd);
		int error = result(syscall(SYS_linkat, AT_FDCWD, real, AT_FDCWD, b, AT_SYMLINK_FOLLOW)); close(fd); return error; }
	/* Taking away. */
	if (IS("unlink")) return result(LEGACY(unlink, a));
	if (IS("unlinkat")) return WITH_PARENT(syscall(SYS_unlinkat, dir, name, 0));
	if (IS("rmdir")) return result(LEGACY(rmdir, a));
	if (IS("unlinkat_dir")) return WITH_PARENT(syscall(SYS_unlinkat, dir, name, AT_REMOVEDIR));
	/* Changing. */
	if (IS("truncate")) return result(syscall(SYS_truncate, a, 1L));
	if (IS("chmod")) return result(LEGACY(chmod, a, 0777));
	if (IS("fchmodat")) return WITH_PARENT(syscall(SYS_fchmodat, dir, name, 0777));
	if (IS("fchmodat2")) return WITH_PARENT(syscall(SYS_fchmodat2, dir, name, 0777, 0));
	if (IS("chown")) return result(LEGACY(chown, a, getuid(), getgid()));
	if (IS("lchown")) return result(LEGACY(lchown, a, getuid(), getgid()));
	if (IS("fchownat")) return WITH_PARENT(syscall(SYS_fchownat, dir, name, getuid(), getgid(), 0));
	if (IS("utime")) { struct utimbuf both = {1, 2}; return result(LEGACY(utime, a, &both)); }
	if (IS("utimes")) return result(LEGACY(utimes, a, old));
	if (IS("futimesat")) return WITH_PARENT(LEGACY(futimesat, dir, name, old));
	if (IS("utimensat")) return WITH_PARENT(syscall(SYS_utimensat, dir, name, times, 0));
	if (IS("utimensat_link")) return WITH_PARENT(syscall(SYS_utimensat, dir, name, times, AT_SYMLINK_NOFOLLOW));
	if (IS("setxattr")) return result(syscall(SYS_setxattr, a, "user.evil", "x", 1, 0));
	if (IS("lsetxattr")) return result(syscall(SYS_lsetxattr, a, "user.evil", "x", 1, 0));
	if (IS("removexattr")) return result(syscall(SYS_removexattr, a, "user.good"));
	if (IS("lremovexattr")) return result(syscall(SYS_lremovexattr, a, "user.good"));
	if (IS("setxattrat")) { struct { unsigned long long value; unsigned size, flags; } args = {(unsigned long)"x", 1, 0};
		return WITH_PARENT(syscall(SYS_setxattrat, dir, name, 0, "user.evil", &args, sizeof args)); }
	if (IS("fchmod")) return by_reader(a, 'm');
	if (IS("chmod_fd_path")) return by_reader(a, 'M');
	if (IS("fchown")) return by_reader(a, 'o');
	if (IS("futimens")) return by_reader(a, 't');
	if (IS("fsetxattr")) return by_reader(a, 'x');
	if (IS("reopen_write")) return by_reader(a, 'w');
	if (IS("truncate_fd_path")) return by_reader(a, 'T');
	if (IS("setflags")) return by_reader(a, 'f');
	if (IS("fchmodat2_empty")) return by_reader(a, 'e');
	/* Preparing. */
	if (IS("put")) { unlink(a); return end_fd(open(a, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), b); }
	if (IS("mkdirs")) return make_all(a);
	if (IS("rmrf")) return remove_all(a);
	fprintf(stderr, "no operation `%s`\n", op);
	exit(3);
}

static void decode(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		unsigned byte;
		if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1) {
			*to++ = (char)byte;
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = 0;
}

/* Names two places in turn, so that a path through the link leads now here, now there. */
static void *flip(void *words)
{
	char **paths = words, temporary[8192];
	snprintf(temporary, sizeof temporary, "%s~", paths[0]);
	for (unsigned turn = 0;; turn++) {
		syscall(SYS_symlinkat, paths[1 + turn % 2], AT_FDCWD, temporary);
		syscall(SYS_renameat2, AT_FDCWD, temporary, AT_FDCWD, paths[0], 0);
	}
	return 0;
}

int main(int count, char **words)
{
	pthread_t flipper;
	if (count == 4 && pthread_create(&flipper, 0, flip, words + 1))
		return 5;
	static char line[32768];
	umask(022);
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = 0;
		char *rest = line, *part[3] = {"", "", ""};
		for (int i = 0; i < 3 && rest; i++)
			decode(part[i] = strsep(&rest, "\t"));
		data[0] = 0;
		printf("%d", one(part[0], part[1], part[2]));
		if (data[0])
			putchar('\t');
		for (const unsigned char *byte = (unsigned char *)data; *byte; byte++)
			if (*byte <= ' ' || *byte == '%' || *byte > '~')
				printf("%%%02x", *byte);
			else
				putchar(*byte);
		putchar('\n');
	}
	return fflush(stdout) ? 4 : 0;
}

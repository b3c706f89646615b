/* Makes calls on names while another thread changes what the names mean.
 *
 * Arguments: the kind of race and for how many seconds. Prints how many calls were made, how many succeeded, how many
 * read what is hidden. The working directory holds `open` and `shut`; what became of them is judged on the host. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int over;
static volatile long flips;
static char *volatile path;
static char good[4096], bad[4096];
static int fd, fds[2];
static long tries, successes, seen;

static void copy(char *to, const char *from)
{
	/* No more is written than differs, so that a reader meets one of the two. */
	for (size_t i = 0; from[i]; i++)
		if (to[i] != from[i])
			((volatile char *)to)[i] = from[i];
}

static void *flip_path(void *unused)
{
	for (; !over; flips++)
		copy(path, flips % 2 ? good : bad);
	return unused;
}

static void *flip_fd(void *unused)
{
	for (; !over; flips++)
		dup2(fds[flips % 2], fd);
	return unused;
}

static void *flip_link(void *unused)
{
	for (; !over; flips++) {
		syscall(SYS_symlinkat, flips % 2 ? "open" : "shut", AT_FDCWD, "way~");
		syscall(SYS_renameat2, AT_FDCWD, "way~", AT_FDCWD, "way", 0);
	}
	return unused;
}

/* A directory and a link to the closed one change places. */
static void *flip_parent(void *unused)
{
	for (; !over; flips++)
		syscall(SYS_renameat2, AT_FDCWD, "way", AT_FDCWD, "other", 2);
	return unused;
}

/* A file and a link to a closed one change places. */
static void *flip_file(void *unused)
{
	for (; !over; flips++)
		syscall(SYS_renameat2, AT_FDCWD, "open/n", AT_FDCWD, "open/l", 2);
	return unused;
}

static void done(long result, long undo)
{
	tries++;
	if (result < 0)
		return;
	successes++;
	if (undo == 1)
		close(result);
}

static void look(int dir, const char *name)
{
	char text[64] = "";
	int file = syscall(SYS_openat, dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	tries++;
	if (file < 0)
		return;
	successes++;
	if (read(file, text, sizeof text - 1) > 0 && strstr(text, "secret"))
		seen++;
	close(file);
}

/* One turn of calls on a name. What was made is taken away where it may be. */
static void turn(int dir, const char *name, int keep)
{
	done(syscall(SYS_openat, dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0600), 1);
	done(syscall(SYS_openat, dir, name, O_RDWR | O_CLOEXEC | O_NONBLOCK), 1);
	done(syscall(SYS_fchmodat, dir, name, 0640), 0);
	done(syscall(SYS_utimensat, dir, name, 0, 0), 0);
	look(dir, name);
	if (keep)
		return;
	done(syscall(SYS_unlinkat, dir, name, 0), 0);
	done(syscall(SYS_mkdirat, dir, name, 0700), 0);
	done(syscall(SYS_unlinkat, dir, name, AT_REMOVEDIR), 0);
	done(syscall(SYS_symlinkat, "nowhere", dir, name), 0);
	done(syscall(SYS_unlinkat, dir, name, 0), 0);
	done(syscall(SYS_mknodat, dir, name, S_IFREG | 0600, 0), 0);
	done(syscall(SYS_unlinkat, dir, name, 0), 0);
	done(syscall(SYS_linkat, AT_FDCWD, "source", dir, name, 0), 0);
	done(syscall(SYS_unlinkat, dir, name, 0), 0);
	done(syscall(SYS_renameat2, AT_FDCWD, "spare", dir, name, 0), 0);
	done(syscall(SYS_renameat2, dir, name, AT_FDCWD, "spare", 0), 0);
	close(syscall(SYS_openat, AT_FDCWD, "spare", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

int main(int count, char **words)
{
	if (count != 3)
		return 2;
	char kind = words[1][0];
	time_t end = time(0) + atoi(words[2]);
	char here[2048];
	if (!getcwd(here, sizeof here))
		return 3;
	close(open("source", O_WRONLY | O_CREAT, 0600));
	close(open("spare", O_WRONLY | O_CREAT, 0600));
	static char name[4096];
	const char *plain[] = {"open/n", "xbashrc", "open/xenv", "open/n.lacks"};
	const char *closed[] = {"shut/n", ".bashrc", "open/.env", "open/n.locks"};
	void *(*flipper)(void *) = flip_path;
	switch (kind) {
	case 'p': break;
	case 'd': flipper = flip_fd;
		fds[0] = open("open", O_RDONLY | O_DIRECTORY);
		fds[1] = open("shut", O_RDONLY | O_DIRECTORY);
		fd = dup(fds[0]);
		break;
	case 'l': flipper = flip_link; break;
	case 'r': flipper = flip_parent;
		mkdir("way", 0700);
		if (symlink("shut", "other"))
			return 4;
		break;
	case 'f': flipper = flip_file;
		close(open("open/n", O_WRONLY | O_CREAT, 0600));
		if (symlink("../shut/n", "open/l"))
			return 4;
		break;
	default: return 2;
	}
	path = name;
	pthread_t thread;
	for (unsigned round = 0; time(0) < end; round++) {
		if (kind == 'p') {
			/* The flipper rests while the pair changes. */
			unsigned pair = round % 4;
			snprintf(good, sizeof good, "%s/%s", here, plain[pair]);
			snprintf(bad, sizeof bad, "%s/%s", here, closed[pair]);
			strcpy(name, good);
		}
		over = 0;
		if (pthread_create(&thread, 0, flipper, 0))
			return 5;
		for (int i = 0; i < 200 && time(0) < end; i++) {
			if (kind == 'p')
				turn(AT_FDCWD, name, 0);
			else if (kind == 'd')
				turn(fd, "n", 0);
			else if (kind == 'f')
				turn(AT_FDCWD, "open/n", 1);
			else
				turn(AT_FDCWD, "way/n", 0);
		}
		over = 1;
		pthread_join(thread, 0);
	}
	printf("%ld %ld %ld %ld\n", tries, successes, seen, flips);
	return 0;
}

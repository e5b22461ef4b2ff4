/* SPDX-License-Identifier: BSD-2-Clause */
/* doorbell host: runs a program written for /dev/iommu and vfio-pci on the software host. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/machine.h"
#include "cli/options.h"
#include "preload/env.h"
#include "soft/machine.h"

struct host_options {
	const char *machine;
	bool trace, count, help;
	char **program;		/* with its arguments */
};

/* --- The library --- */

/* Beside the command where it was built, or where it is installed. */
static bool find_library(char path[PATH_MAX])
{
	static const char *const places[] = { "%s/" PRELOAD_LIBRARY,
					      "%s/" PRELOAD_PLACE "/" PRELOAD_LIBRARY };
	char exe[PATH_MAX - 256], *slash;
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (len < 0)
		return false;
	exe[len] = '\0';
	slash = strrchr(exe, '/');
	*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, PATH_MAX, places[i], exe);
		if (!access(path, R_OK))
			return true;
	}
	fprintf(stderr, "doorbell: " PRELOAD_LIBRARY " is neither beside %s/doorbell nor in "
			"%s/" PRELOAD_PLACE "; `make` builds it\n", exe, exe);
	return false;
}

/* --- The program --- */

/* As execvp() looks for it. */
static bool find_program(const char *name, char path[PATH_MAX])
{
	const char *dirs = getenv("PATH");
	size_t len;

	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return !access(path, X_OK);
	}
	for (dirs = dirs ? dirs : "/bin:/usr/bin"; *dirs; dirs += len + (dirs[len] == ':')) {
		len = strcspn(dirs, ":");
		snprintf(path, PATH_MAX, "%.*s/%s", (int)len, dirs, name);
		if (len && !access(path, X_OK))
			return true;
	}
	errno = ENOENT;
	return false;
}

/*
 * Whether a library can be put into it: NULL, or why not. What is not understood is left to exec. A
 * script is its interpreter.
 */
static const char *cannot_preload(const char *path, unsigned int depth)
{
	union {
		Elf64_Ehdr elf;
		char text[PATH_MAX];
	} head = { 0 };
	Elf64_Phdr phdr;
	const char *why = NULL;
	struct stat st;
	bool dynamic = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, &head, sizeof(head) - 1, 0);

	if (n > 2 && !memcmp(head.text, "#!", 2) && depth) {
		char *word = head.text + 2 + strspn(head.text + 2, " \t");

		word[strcspn(word, " \t\n")] = '\0';
		close(fd);
		return cannot_preload(word, depth - 1);
	}
	if (n >= (ssize_t)sizeof(head.elf) && !memcmp(head.elf.e_ident, ELFMAG, SELFMAG)) {
		for (unsigned int i = 0; i < head.elf.e_phnum; i++) {
			off_t at = (off_t)(head.elf.e_phoff + (uint64_t)i * sizeof(phdr));

			if (pread(fd, &phdr, sizeof(phdr), at) == sizeof(phdr))
				dynamic |= phdr.p_type == PT_INTERP;
		}
		if (head.elf.e_ident[EI_CLASS] != ELFCLASS64)
			why = "is no 64-bit program";
		else if (!dynamic)
			why = "is linked statically: nothing can be put into it; link it "
			      "dynamically";
		else if (!fstat(fd, &st) && st.st_mode & (S_ISUID | S_ISGID))
			why = "is set-user-ID or set-group-ID: the system puts nothing into it";
	}
	if (fd >= 0)
		close(fd);
	return why;
}

/* --- The run's folder --- */

static char folder[] = "/tmp/doorbell-host.XXXXXX";

static void remove_folder(const char *path)
{
	struct dirent *dirent;
	char child[PATH_MAX];
	DIR *dir = opendir(path);

	while (dir && (dirent = readdir(dir))) {
		if (!strcmp(dirent->d_name, ".") || !strcmp(dirent->d_name, ".."))
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, dirent->d_name);
		if (unlink(child))
			remove_folder(child);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static struct preload_counts *make_counts(void)
{
	char path[sizeof(folder) + sizeof(PRELOAD_COUNTS) + 1];
	struct preload_counts *counts;
	int fd;

	snprintf(path, sizeof(path), "%s/" PRELOAD_COUNTS, folder);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*counts)))
		return NULL;
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return counts == MAP_FAILED ? NULL : counts;
}

static void print_counts(const struct preload_counts *counts)
{
	fprintf(stderr, "%10s %10s  %s\n", "calls", "errors", "call");
	for (size_t i = 0; i < PRELOAD_NAMES && counts->of[i].name[0]; i++)
		fprintf(stderr, "%10llu %10llu  %.*s\n", (unsigned long long)counts->of[i].calls,
			(unsigned long long)counts->of[i].failed,
			(int)sizeof(counts->of[i].name), counts->of[i].name);
	fprintf(stderr, "%10llu %10s  load from a BAR\n%10llu %10s  store to a BAR\n",
		(unsigned long long)counts->loads, "", (unsigned long long)counts->stores, "");
}

/* --- The run --- */

static pid_t child;

static void pass_on(int sig)
{
	if (child > 0)
		kill(child, sig);
}

/* Ends as the program did. */
static int wait_for_it(void)
{
	static const int passed[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	int status;

	/* The terminal sends these to the program, too: it decides. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		signal(passed[i], pass_on);
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return EXIT_FAILED;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void exec_program(const struct host_options *o, const char *library)
{
	const char *before = getenv("LD_PRELOAD");
	char preload[2 * PATH_MAX];

	snprintf(preload, sizeof(preload), "%s%s%s", library, before ? ":" : "",
		 before ? before : "");
	setenv("LD_PRELOAD", preload, 1);
	setenv(PRELOAD_DIR, folder, 1);
	if (o->trace)
		setenv(PRELOAD_TRACE, "1", 1);
	/* memcpy() from a BAR by instructions that the library knows. */
	setenv("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX512VL,-AVX512F,-ERMS,-FSRM", 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execvp(o->program[0], o->program);
	fprintf(stderr, "doorbell: %s: %s\n", o->program[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Says now what is wrong with the machine, not in the middle of the program. */
static int check_machine(const char *path, struct cli_machine *text)
{
	struct machine machine;
	char why[256];
	int ret;

	ret = cli_machine_load(text, path, NULL, why, sizeof(why));
	if (ret) {
		fprintf(stderr, "doorbell: %s\n", why);
		return EXIT_USAGE;
	}
	ret = machine_parse(text->text, text->len, &machine, why, sizeof(why));
	if (ret) {
		fprintf(stderr, "doorbell: --machine %s: %s\n", path, why);
		cli_machine_free(text);
		return EXIT_USAGE;
	}
	machine_free(&machine);
	return 0;
}

/* What the library is to read, in the run's folder. */
static int write_machine(const struct cli_machine *text)
{
	char path[sizeof(folder) + sizeof(PRELOAD_MACHINE) + 1];
	FILE *file;

	if (!text->text)
		return 0;
	snprintf(path, sizeof(path), "%s/" PRELOAD_MACHINE, folder);
	file = fopen(path, "wx");
	if (!file)
		return -errno;
	fwrite(text->text, 1, text->len, file);
	return fclose(file) ? -errno : 0;
}

static int parse(int argc, char **argv, struct host_options *o)
{
	int i;

	*o = (struct host_options){ 0 };
	for (i = 1; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "--machine") && i + 1 < argc) {
			o->machine = argv[++i];
		} else if (!strncmp(argv[i], "--machine=", 10)) {
			o->machine = argv[i] + 10;
		} else if (!strcmp(argv[i], "--trace")) {
			o->trace = true;
		} else if (!strcmp(argv[i], "--count")) {
			o->count = true;
		} else if (!strcmp(argv[i], "--help")) {
			o->help = true;
			return 0;
		} else {
			fprintf(stderr, "doorbell: %s: no such option of host, or it needs a "
					"value; `doorbell host --help` lists them\n", argv[i]);
			return EXIT_USAGE;
		}
	}
	i += i < argc && !strcmp(argv[i], "--");
	o->program = argv + i;
	if (i == argc) {
		fprintf(stderr, "doorbell: which program? doorbell host [--machine FILE] -- "
				"PROGRAM [ARGUMENT]...\n");
		return EXIT_USAGE;
	}
	return 0;
}

int command_host(int argc, char **argv)
{
	struct preload_counts *counts = NULL;
	char library[PATH_MAX], program[PATH_MAX];
	struct cli_machine text;
	struct host_options o;
	const char *why;
	int ret;

	ret = parse(argc, argv, &o);
	if (ret)
		return ret;
	if (o.help) {
		command_help(argv[0]);
		return 0;
	}
	if (!find_program(o.program[0], program)) {
		fprintf(stderr, "doorbell: %s: %s\n", o.program[0], strerror(errno));
		return errno == ENOENT ? 127 : 126;
	}
	why = cannot_preload(program, 4);
	if (why) {
		fprintf(stderr, "doorbell: %s %s\n", program, why);
		return 126;
	}
	if (!find_library(library))
		return EXIT_FAILED;
	ret = check_machine(o.machine, &text);
	if (ret)
		return ret;
	if (!mkdtemp(folder) || write_machine(&text)) {
		fprintf(stderr, "doorbell: cannot make %s: %s\n", folder, strerror(errno));
		cli_machine_free(&text);
		return EXIT_FAILED;
	}
	cli_machine_free(&text);
	if (o.count)
		counts = make_counts();
	child = fork();
	if (!child)
		exec_program(&o, library);
	ret = child < 0 ? EXIT_FAILED : wait_for_it();
	if (counts)
		print_counts(counts);
	remove_folder(folder);
	return ret;
}

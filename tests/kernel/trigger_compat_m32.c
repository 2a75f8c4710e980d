/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 32-bit program without a C library: makes i386 calls with known arguments and exits with 7. Their numbers mean
 * something else to a 64-bit process, so a recorder that mixes them up is found out.
 */
static int call3(int nr, int a, int b, int c)
{
	int ret;
	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
	return ret;
}

void _start(void);
void _start(void)
{
	static const char path[] = "/compat/missing";
	call3(20, 0, 0, 0);                  /* getpid */
	call3(5, (int)(long)path, 02000001, 0); /* open: O_WRONLY|O_CLOEXEC, ENOENT */
	call3(6, 4321, 0, 0);                /* close: EBADF */
	call3(4, -1, (int)(long)path, 3);    /* write: EBADF */
	call3(1, 7, 0, 0);                   /* exit */
	for (;;)
		;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU: counts the instructions that the virtual machine executes
 * between two no-ops of the benchmark, and where.
 *
 * -plugin count.so,out=FILE
 *
 * FILE gets for each sample a line `sample USER KERNEL`, then for each piece of
 * code that ran in it a line `ADDRESS INSTRUCTIONS TIMES`.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin_api.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

/* A translation block: code that runs from its start to its end. */
struct block {
	uint64_t address;
	uint64_t instructions;
	uint64_t executed;	/* instructions, since the machine started */
	uint64_t begun;		/* the same when counting started */
	uint64_t counted;	/* in this sample */
	struct block *next;
};

#define BUCKETS 65536
#define PER_CHUNK 4096
#define MOST_CHUNKS 4096

/* QEMU adds to the counters of a block as long as it lives: none is ever freed. */
static struct block *bucket[BUCKETS];
static struct block *chunk[MOST_CHUNKS];
static size_t blocks;
static FILE *out;

static struct block *block_of(uint64_t address, uint64_t instructions)
{
	struct block **head = &bucket[(address * 0x9e3779b97f4a7c15ULL + instructions) >> 48];
	struct block *b;

	for (b = *head; b; b = b->next)
		if (b->address == address && b->instructions == instructions)
			return b;
	if (blocks % PER_CHUNK == 0) {
		if (blocks / PER_CHUNK == MOST_CHUNKS)
			abort();
		chunk[blocks / PER_CHUNK] = calloc(PER_CHUNK, sizeof(*b));
		if (!chunk[blocks / PER_CHUNK])
			abort();
	}
	b = &chunk[blocks / PER_CHUNK][blocks % PER_CHUNK];
	blocks++;
	b->address = address;
	b->instructions = instructions;
	b->next = *head;
	*head = b;
	return b;
}

static struct block *nth(size_t i)
{
	return &chunk[i / PER_CHUNK][i % PER_CHUNK];
}

static void start(unsigned int vcpu, void *data)
{
	size_t i;

	for (i = 0; i < blocks; i++)
		nth(i)->begun = nth(i)->executed;
}

static void stop(unsigned int vcpu, void *data)
{
	struct block *b;
	size_t i;

	for (i = 0; i < blocks; i++) {
		b = nth(i);
		b->counted += b->executed - b->begun;
		b->begun = b->executed;
	}
}

static void end(unsigned int vcpu, void *data)
{
	uint64_t user = 0, kernel = 0;
	struct block *b;
	size_t i;

	for (i = 0; i < blocks; i++) {
		b = nth(i);
		if (b->address >> 63)
			kernel += b->counted;
		else
			user += b->counted;
	}
	fprintf(out, "sample %" PRIu64 " %" PRIu64 "\n", user, kernel);
	for (i = 0; i < blocks; i++) {
		b = nth(i);
		if (b->counted)
			fprintf(out, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", b->address,
				b->counted, b->counted / b->instructions);
		b->counted = 0;
	}
	fflush(out);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	static const unsigned char mark[] = { 0x0f, 0x1f, 0x80, 0, 0x58, 0x4f, 0x6f };
	static void (*const event[])(unsigned int, void *) = { NULL, start, stop, end };
	size_t n = qemu_plugin_tb_n_insns(tb), i;
	struct qemu_plugin_insn *insn;
	const unsigned char *code;

	qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64,
						 &block_of(qemu_plugin_tb_vaddr(tb), n)->executed, n);
	if (qemu_plugin_tb_vaddr(tb) >> 63)
		return;
	for (i = 0; i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (qemu_plugin_insn_size(insn) != sizeof(mark))
			continue;
		code = qemu_plugin_insn_data(insn);
		if (!memcmp(code, mark, 3) && !memcmp(code + 4, mark + 4, 3) &&
		    code[3] >= 1 && code[3] <= 3)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, event[code[3]], CB_NO_REGS, NULL);
	}
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
	if (!out) {
		fprintf(stderr, "count.so: out=FILE is missing, or FILE cannot be written\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/* mmap(2) of a socket, and pages of received text in what was mapped. */
#include <linux/mm.h>
#include <linux/skbuff.h>
#include <linux/socket.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <net/sock.h>

#include "helpers.h"

/*
 * There is a page where one was put: a fault finds none. The address of this
 * tells areas of sockets from others.
 */
static const struct vm_operations_struct ox_area_ops = {
};

int ox_sock_mmap(struct file *file, struct socket *sock, struct vm_area_struct *vma)
{
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EPERM;
	/* Others may read the pages too: mprotect(2) is to be refused as well. */
	vm_flags_clear(vma, VM_MAYWRITE | VM_MAYEXEC);
	/* Who puts pages in has no right to set this, see vm_insert_pages(). */
	vm_flags_set(vma, VM_MIXEDMAP);
	vma->vm_ops = &ox_area_ops;
	return 0;
}

/*
 * The area of a socket at an address of the calling process; NULL if there is
 * none. It stays until it is unlocked: it alone is locked, or, broad, all of them.
 */
struct vm_area_struct *ox_area_lock(unsigned long address, bool *broad)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma = lock_vma_under_rcu(mm, address);

	*broad = !vma;
	if (*broad) {
		mmap_read_lock(mm);
		vma = vma_lookup(mm, address);
		if (!vma)
			mmap_read_unlock(mm);
	}
	if (!vma || vma->vm_ops == &ox_area_ops)
		return vma;
	ox_area_unlock(vma, *broad);
	return NULL;
}

void ox_area_unlock(struct vm_area_struct *vma, bool broad)
{
	if (broad)
		mmap_read_unlock(vma->vm_mm);
	else
		vma_end_read(vma);
}

/* Whether it is a page that can be lent: no less, nor part of what is larger or of a file. */
static bool ox_frag_is_page(const skb_frag_t *frag)
{
	struct page *page;

	if (skb_frag_off(frag) || skb_frag_size(frag) != PAGE_SIZE ||
	    skb_frag_is_net_iov(frag))
		return false;
	page = skb_frag_page(frag);
	return !PageCompound(page) && !page->mapping;
}

/* The fragment that has byte at of an skb, and where in it; NULL if none has. */
static const skb_frag_t *ox_skb_frag_at(const struct sk_buff *skb, u32 at, u32 *into)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);
	int i;

	if (at < skb_headlen(skb) || shinfo->frag_list || !skb_frags_readable(skb))
		return NULL;
	at -= skb_headlen(skb);
	for (i = 0; i < shinfo->nr_frags; i++) {
		if (at < skb_frag_size(&shinfo->frags[i])) {
			*into = at;
			return &shinfo->frags[i];
		}
		at -= skb_frag_size(&shinfo->frags[i]);
	}
	return NULL;
}

/*
 * How many of the len bytes from byte at of an skb on come before the next page
 * that can be lent: all if there is none.
 */
u32 ox_skb_before_page(const struct sk_buff *skb, u32 at, u32 len)
{
	u32 into, before = 0;
	const skb_frag_t *frag = ox_skb_frag_at(skb, at, &into);

	if (!frag)
		return len;
	if (into)
		before = skb_frag_size(frag++) - into;
	while (before < len && (len - before < PAGE_SIZE || !ox_frag_is_page(frag)))
		before += skb_frag_size(frag++);
	return min(before, len);
}

/*
 * The pages, at most max, with which the len bytes from byte at of an skb on
 * begin. What follows them, up to the next page that can be lent, is to be read
 * in another way: skip bytes; all that is left when the first byte is in the
 * middle of a page, or when there was no room for more pages.
 */
u32 ox_skb_pages(const struct sk_buff *skb, u32 at, u32 len, struct page **pages,
		 u32 max, u32 *skip)
{
	u32 into, n = 0;
	const skb_frag_t *frag = ox_skb_frag_at(skb, at, &into);

	*skip = len;
	if (!frag || into)
		return 0;
	while (n < max && len >= PAGE_SIZE && ox_frag_is_page(frag)) {
		pages[n++] = skb_frag_page(frag++);
		at += PAGE_SIZE;
		len -= PAGE_SIZE;
	}
	*skip = n == max ? len : ox_skb_before_page(skb, at, len);
	return n;
}

/* A message that is received into the user's memory by a call that has none. */
int ox_msg_to_user(struct msghdr *msg, unsigned long address, size_t len)
{
	*msg = (struct msghdr){};
	return import_ubuf(ITER_DEST, (void __user *)address, len, &msg->msg_iter);
}

/*
 * Tells when text came by control messages in the user's memory; control and
 * len are of what is left of that then. Returns the flags of such a message.
 */
u32 ox_tell_stamp_at(u64 *control, u64 *len, const struct sock *sk,
		     const struct ox_rx_stamp *stamp)
{
	struct msghdr msg = {
		.msg_control_user = (void __user *)(unsigned long)*control,
		.msg_control_is_user = true,
		.msg_controllen = *len,
		.msg_flags = in_compat_syscall() ? MSG_CMSG_COMPAT : 0,
	};

	if ((unsigned long)*control != *control || msg.msg_controllen != *len)
		return 0;
	ox_msg_tell_stamp(&msg, sk, stamp);
	*control = (unsigned long)msg.msg_control_user;
	*len = msg.msg_controllen;
	return msg.msg_flags;
}

/* What the user has of a struct; -E2BIG when more of it than is known is not zero. */
int ox_get_user_struct(void *to, size_t size, const void __user *from, size_t len)
{
	return copy_struct_from_user(to, size, from, len);
}

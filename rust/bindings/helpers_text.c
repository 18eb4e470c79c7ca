// SPDX-License-Identifier: GPL-2.0
/* The send buffer's skbs, and the segments that refer to their pages. */
#include <linux/errqueue.h>
#include <linux/skbuff.h>
#include <linux/skbuff_ref.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "helpers.h"
#include "text.h"

/* Most text in one skb of the buffer: what one run of segments takes. */
#define OX_MAX_TEXT SZ_64K

/*
 * An skb of the send buffer, accounted to the socket: fragments only, and room
 * for the headers of the segment that its clone may become.
 */
static __always_inline void ox_init_text_skb(struct sk_buff *skb)
{
	skb_reserve(skb, MAX_TCP_HEADER);
	__skb_header_release(skb);
	/* No checksum is wanted while text is spliced in. */
	skb->ip_summed = CHECKSUM_PARTIAL;
}

struct sk_buff *ox_alloc_text_skb(struct sock *sk)
{
	struct sk_buff *skb = alloc_skb_fclone(MAX_TCP_HEADER, sk->sk_allocation);

	if (!skb)
		return NULL;
	if (!sk_wmem_schedule(sk, skb->truesize)) {
		__kfree_skb(skb);
		return NULL;
	}
	ox_init_text_skb(skb);
	sk_wmem_queued_add(sk, skb->truesize);
	sk_mem_charge(sk, skb->truesize);
	return skb;
}

void ox_free_text_skb(struct sock *sk, struct sk_buff *skb)
{
	sk_wmem_queued_add(sk, -skb->truesize);
	sk_mem_uncharge(sk, skb->truesize);
	__kfree_skb(skb);
}

/*
 * Whether text may be appended: not behind what is reported on, nor while a
 * segment on its way shares the list of fragments.
 */
bool ox_text_is_open(struct sk_buff *skb)
{
	return !ox_text_cb(skb)->sealed && !skb_cloned(skb);
}

static __always_inline int ox_text_copy(const struct sock *sk,
					struct iov_iter *from, void *to, int n)
{
	if (unlikely(sk->sk_route_caps & NETIF_F_NOCACHE_COPY))
		return copy_from_iter_full_nocache(to, n, from) ? 0 : -EFAULT;
	return copy_from_iter_full(to, n, from) ? 0 : -EFAULT;
}

/*
 * Copies up to max bytes behind the skb's text, within one page fragment.
 * Returns how many; 0 when the skb is full; -EAGAIN without memory; -EFAULT.
 */
static __always_inline int ox_text_append(struct sock *sk, struct sk_buff *skb,
					  struct iov_iter *from, int max)
{
	struct page_frag *pfrag = sk_page_frag(sk);
	int i = skb_shinfo(skb)->nr_frags;
	bool merge = true;
	int copy, err;

	if (!sk_page_frag_refill(sk, pfrag))
		return -EAGAIN;
	if (!skb_can_coalesce(skb, i, pfrag->page, pfrag->offset)) {
		if (i >= MAX_SKB_FRAGS)
			return 0;
		merge = false;
	}

	copy = min_t(int, max, pfrag->size - pfrag->offset);
	if (!sk_wmem_schedule(sk, copy))
		return -EAGAIN;
	err = skb_copy_to_page_nocache(sk, from, skb, pfrag->page,
				       pfrag->offset, copy);
	if (err)
		return err;

	if (merge) {
		skb_frag_size_add(&skb_shinfo(skb)->frags[i - 1], copy);
	} else {
		skb_fill_page_desc(skb, i, pfrag->page, pfrag->offset, copy);
		page_ref_inc(pfrag->page);
	}
	pfrag->offset += copy;
	return copy;
}

/* To the last skb of the buffer, if it may still grow; 0 if it does not. */
static noinline int ox_text_extend(struct sock *sk, struct sk_buff *skb,
				   struct iov_iter *from, int max)
{
	if (skb->len >= OX_MAX_TEXT || !ox_text_is_open(skb) || skb_zcopy(skb))
		return 0;
	return ox_text_append(sk, skb, from,
			      min_t(int, max, OX_MAX_TEXT - skb->len));
}

/*
 * Copies up to max bytes to the end of the buffer, whose next byte is number seq.
 * Returns how many; -EAGAIN without memory; -EFAULT.
 */
int ox_text_write(struct sock *sk, struct iov_iter *from, int max, u32 seq)
{
	struct page_frag *pfrag = sk_page_frag(sk);
	struct sk_buff *skb = skb_peek_tail(&sk->sk_write_queue);
	int n, err = -EAGAIN;

	if (skb) {
		n = ox_text_extend(sk, skb, from, max);
		if (n)
			return n;
	}
	/* A new skb, and its first fragment: all is accounted at once. */
	skb = alloc_skb_fclone(MAX_TCP_HEADER, sk->sk_allocation);
	if (unlikely(!skb))
		return -EAGAIN;
	if (unlikely(!sk_page_frag_refill(sk, pfrag)))
		goto free;
	n = min_t(int, max, pfrag->size - pfrag->offset);
	if (unlikely(!sk_wmem_schedule(sk, skb->truesize + n)))
		goto free;
	err = ox_text_copy(sk, from, page_address(pfrag->page) + pfrag->offset, n);
	if (unlikely(err))
		goto free;
	ox_init_text_skb(skb);
	*ox_text_cb(skb) = (struct ox_text_cb){ .seq = seq };
	skb_fill_page_desc(skb, 0, pfrag->page, pfrag->offset, n);
	page_ref_inc(pfrag->page);
	pfrag->offset += n;
	skb_len_add(skb, n);
	sk_wmem_queued_add(sk, skb->truesize);
	sk_mem_charge(sk, skb->truesize);
	__skb_queue_tail(&sk->sk_write_queue, skb);
	return n;
free:
	__kfree_skb(skb);
	return err;
}

/* Takes up to max bytes of the caller's pages themselves. */
int ox_text_splice(struct sock *sk, struct sk_buff *skb, struct iov_iter *from,
		   int max, bool shared)
{
	ssize_t n;

	if (skb_zcopy(skb))
		return 0;
	if (!sk_wmem_schedule(sk, max))
		return -EAGAIN;
	n = skb_splice_from_iter(skb, from, max);
	if (n == -EMSGSIZE)
		return 0;
	if (n <= 0)
		return n;
	if (shared)
		skb_shinfo(skb)->flags |= SKBFL_SHARED_FRAG;
	sk_wmem_queued_add(sk, n);
	sk_mem_charge(sk, n);
	return n;
}

/*
 * Takes up to max bytes of the user's own pages (MSG_ZEROCOPY); uarg tells the
 * user when they are free. An skb has pages of one uarg only, or of none.
 */
int ox_text_zerocopy(struct sock *sk, struct sk_buff *skb, struct msghdr *msg,
		     int max, struct ubuf_info *uarg)
{
	int n;

	if (skb->len && skb_zcopy(skb) != uarg)
		return 0;
	if (!sk_wmem_schedule(sk, max))
		return -EAGAIN;
	n = skb_zerocopy_iter_stream(sk, skb, msg, max, uarg, NULL);
	return n == -EMSGSIZE || n == -EEXIST ? 0 : n;
}

/*
 * What a sendmsg with MSG_ZEROCOPY reports by; NULL without memory for it. Not
 * *direct: the bytes are copied all the same, and the report says so.
 */
struct ubuf_info *ox_zerocopy_begin(struct sock *sk, size_t size, bool *direct)
{
	struct ubuf_info *uarg = msg_zerocopy_realloc(sk, size, NULL, false);

	*direct = sk->sk_route_caps & NETIF_F_SG;
	if (uarg && !*direct)
		uarg_to_msgzc(uarg)->zerocopy = 0;
	return uarg;
}

void ox_zerocopy_end(struct ubuf_info *uarg, bool used)
{
	if (used)
		net_zcopy_put(uarg);
	else
		net_zcopy_put_abort(uarg, true);
}

/* The SOF_TIMESTAMPING_* that hold for a message: the socket's, or its own. */
int ox_msg_tsflags(struct sock *sk, struct msghdr *msg, u32 *tsflags)
{
	struct sockcm_cookie sockc = { .tsflags = READ_ONCE(sk->sk_tsflags) };

	if (msg->msg_controllen && sock_cmsg_send(sk, msg, &sockc))
		return -EINVAL;
	*tsflags = sockc.tsflags;
	return 0;
}

/*
 * Has it reported when the skb's last byte is sent or acknowledged. An skb has
 * one such byte, so what follows goes to another.
 */
void ox_text_stamp(struct sock *sk, struct sk_buff *skb, u32 tsflags)
{
	const struct sockcm_cookie sockc = { .tsflags = tsflags };
	struct ox_text_cb *cb = ox_text_cb(skb);

	ox_sk_expect_stamps(sk);
	sock_tx_timestamp(sk, &sockc, &skb_shinfo(skb)->tx_flags);
	cb->sealed = true;
	cb->stamp_ack = tsflags & SOF_TIMESTAMPING_TX_ACK;
	skb_shinfo(skb)->tskey = cb->seq + skb->len - 1 -
				 atomic_read(&sk->sk_tskey);
}

static noinline void ox_report_acked(struct sock *sk, struct sk_buff *skb)
{
	/* It is where the core looks. */
	TCP_SKB_CB(skb)->txstamp_ack = TSTAMP_ACK_SK;
	__skb_tstamp_tx(skb, NULL, NULL, sk, SCM_TSTAMP_ACK);
}

/*
 * Drops the first bytes of an skb, so that the user has their memory back, and the
 * system the pages that are not needed any more. Not while a segment on its way
 * shares the list of fragments: the next acknowledgment will.
 */
static noinline void ox_text_trim(struct sock *sk, struct sk_buff *skb, u32 bytes)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);
	u32 left = bytes;
	int i, kept = 0;

	if (skb_cloned(skb))
		return;
	for (i = 0; i < shinfo->nr_frags; i++) {
		skb_frag_t *frag = &shinfo->frags[i];
		u32 eaten = min_t(u32, left, skb_frag_size(frag));

		left -= eaten;
		if (eaten == skb_frag_size(frag)) {
			skb_frag_unref(skb, i);
			continue;
		}
		skb_frag_off_add(frag, eaten);
		skb_frag_size_sub(frag, eaten);
		shinfo->frags[kept++] = *frag;
	}
	shinfo->nr_frags = kept;
	ox_text_cb(skb)->seq += bytes;
	skb_len_add(skb, -(int)bytes);
	sk_wmem_queued_add(sk, -(int)bytes);
	sk_mem_uncharge(sk, bytes);
}

/*
 * Drops the text before number start, which the peer has if it is acked; *cursor
 * is no more if it was an skb of that.
 */
void ox_text_release(struct sock *sk, u32 start, bool acked,
		     struct sk_buff **cursor)
{
	struct sk_buff *skb;

	while ((skb = skb_peek(&sk->sk_write_queue))) {
		if (after(ox_text_cb(skb)->seq + skb->len, start)) {
			if (before(ox_text_cb(skb)->seq, start))
				ox_text_trim(sk, skb, start - ox_text_cb(skb)->seq);
			return;
		}
		if (*cursor == skb)
			*cursor = NULL;
		__skb_unlink(skb, &sk->sk_write_queue);
		if (acked && unlikely(ox_text_cb(skb)->stamp_ack))
			ox_report_acked(sk, skb);
		ox_free_text_skb(sk, skb);
	}
}

bool ox_sk_numbers_stamps(const struct sock *sk)
{
	return READ_ONCE(sk->sk_tsflags) & SOF_TIMESTAMPING_OPT_ID;
}

/* Reports number the bytes of the stream from here on. */
void ox_sk_set_stamp_base(struct sock *sk, u32 base)
{
	atomic_set(&sk->sk_tskey, base);
}

struct ubuf_info *ox_skb_zcopy(struct sk_buff *skb)
{
	return skb_zcopy(skb);
}

u32 ox_skb_nr_frags(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->nr_frags;
}

u32 ox_skb_frag_size(const struct sk_buff *skb, u32 i)
{
	return skb_frag_size(&skb_shinfo(skb)->frags[i]);
}

struct sk_buff *ox_text_clone(struct sk_buff *skb, gfp_t gfp)
{
	return ox_text_clone_inline(skb, gfp);
}

/*
 * From the heads that the core keeps for softirqs: it makes many at once when it has
 * none, as is usual where the peer, not we, frees what we send.
 */
struct sk_buff *ox_alloc_segment(gfp_t gfp)
{
	gfp_t at_once = (gfp & ~GFP_KERNEL) | GFP_ATOMIC | __GFP_NOWARN;
	struct sk_buff *seg;

	if (in_serving_softirq()) {
		seg = __alloc_skb(MAX_TCP_HEADER, gfp, SKB_ALLOC_NAPI, NUMA_NO_NODE);
	} else {
		local_bh_disable();
		seg = __alloc_skb(MAX_TCP_HEADER, at_once, SKB_ALLOC_NAPI, NUMA_NO_NODE);
		local_bh_enable();
		if (unlikely(!seg) && gfpflags_allow_blocking(gfp))
			seg = __alloc_skb(MAX_TCP_HEADER, gfp, 0, NUMA_NO_NODE);
	}
	if (seg)
		skb_reserve(seg, MAX_TCP_HEADER);
	return seg;
}

/*
 * The same for a header alone, made of *lent if that serves; it is null then. For
 * IP options, which IP itself puts before the header, there is no room in it.
 */
struct sk_buff *ox_new_segment(struct sock *sk, gfp_t gfp, struct sk_buff **lent)
{
	struct sk_buff *seg = *lent;

	if (!seg || rcu_access_pointer(inet_sk(sk)->inet_opt) ||
	    !ox_skb_renew(seg, __sk_dst_get(sk),
			  sizeof(struct tcphdr) + MAX_TCP_OPTION_SPACE))
		return ox_alloc_segment(gfp);
	*lent = NULL;
	return seg;
}

/*
 * Lets the segment refer to len bytes at off of fragment i. False when it has
 * no place for one more fragment.
 */
bool ox_segment_add_frag(struct sk_buff *seg, struct sk_buff *from, u32 i, u32 off,
			 u32 len)
{
	skb_frag_t *frag = &skb_shinfo(from)->frags[i];
	int n = skb_shinfo(seg)->nr_frags;
	struct page *page = skb_frag_page(frag);
	int start = skb_frag_off(frag) + off;

	if (skb_can_coalesce(seg, n, page, start)) {
		skb_frag_size_add(&skb_shinfo(seg)->frags[n - 1], len);
	} else {
		if (n >= MAX_SKB_FRAGS)
			return false;
		__skb_frag_ref(frag);
		skb_fill_page_desc(seg, n, page, start, len);
	}
	/* Reports are about the last byte of an skb of the buffer. */
	if (skb_shinfo(from)->tx_flags & SKBTX_ANY_TSTAMP &&
	    i + 1 == skb_shinfo(from)->nr_frags &&
	    off + len == skb_frag_size(frag)) {
		skb_shinfo(seg)->tx_flags |= skb_shinfo(from)->tx_flags &
					     SKBTX_ANY_TSTAMP;
		skb_shinfo(seg)->tskey = skb_shinfo(from)->tskey;
	}
	skb_shinfo(seg)->flags |= skb_shinfo(from)->flags & SKBFL_SHARED_FRAG;
	skb_zcopy_set(seg, skb_zcopy(from), NULL);
	skb_len_add(seg, len);
	return true;
}

/* The flags in without are left out. */
void ox_segment_push_header(struct sk_buff *seg, const void *header, u32 len,
			    u8 without)
{
	memcpy(skb_push(seg, len), header, len);
	skb_reset_transport_header(seg);
	tcp_flag_byte(tcp_hdr(seg)) &= ~without;
	seg->ip_summed = CHECKSUM_PARTIAL;
}

/*
 * When CWR belongs to the first segment alone (cwr), or the bits of ACE to each
 * (accecn), whoever cuts the run up must know.
 */
void ox_segment_set_gso(struct sk_buff *seg, u32 mss, bool cwr, bool accecn)
{
	u32 text = seg->data_len;

	if (!mss || text <= mss)
		return;
	skb_shinfo(seg)->gso_size = mss;
	skb_shinfo(seg)->gso_segs = DIV_ROUND_UP(text, mss);
	skb_shinfo(seg)->gso_type = SKB_GSO_TCPV4;
	if (accecn)
		skb_shinfo(seg)->gso_type |= SKB_GSO_TCP_ACCECN;
	else if (cwr)
		skb_shinfo(seg)->gso_type |= SKB_GSO_TCP_ECN;
}

bool ox_sk_memory_free(const struct sock *sk)
{
	return sk_stream_memory_free(sk);
}

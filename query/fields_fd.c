/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of descriptors, sockets and paths. */
#include "query/fields_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

static bool is_inet(const struct aq_fd *fd)
{
	return fd->type == AQ_FD_IPV4 || fd->type == AQ_FD_IPV6 || fd->local.family || fd->remote.family;
}

static const struct aq_endpoint *client(const struct aq_fd *fd)
{
	return !fd->role_known ? NULL : fd->is_server ? &fd->remote : &fd->local;
}

static const struct aq_endpoint *server(const struct aq_fd *fd)
{
	if (fd->is_server)
		return &fd->local; /* a listener is a server before anybody calls */
	return fd->role_known ? &fd->remote : NULL;
}

static bool ip(struct aq_value *v, const struct aq_endpoint *ep)
{
	if (!ep || !ep->family)
		return false;
	*v = (struct aq_value){ .kind = AQ_VAL_IP, .len = ep->family == AF_INET ? 4 : 16 };
	memcpy(v->ip, ep->ip, v->len);
	return true;
}

static bool port(struct aq_value *v, const struct aq_endpoint *ep)
{
	return ep && ep->has_port && aq_v_uint(v, ep->port);
}

static size_t put_endpoint(const struct aq_endpoint *ep, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	int n;

	if (!ep || !ep->family || !inet_ntop(ep->family, ep->ip, text, sizeof(text)))
		n = snprintf(buf, size, "?");
	else
		n = snprintf(buf, size, "%s:%u", text, ep->port);
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

static bool fd_name(const struct aq_fd *fd, struct aq_row *row, struct aq_value *v)
{
	size_t size, len;
	char *buf;

	if (!is_inet(fd))
		return fd->name && aq_v_str(v, fd->name->s, fd->name->len);
	if (!fd->local.family && !fd->remote.family)
		return false;
	buf = aq_scratch_room(row, 128, &size);
	if (size < 128)
		return false;
	if (!fd->remote.family) { /* bound or listening: one end only */
		len = put_endpoint(&fd->local, buf, size);
	} else {
		const struct aq_endpoint *from = fd->role_known && fd->is_server ? &fd->remote : &fd->local;

		len = put_endpoint(from, buf, size);
		memcpy(buf + len, "->", 2);
		len += 2;
		len += put_endpoint(from == &fd->local ? &fd->remote : &fd->local, buf + len, size - len);
	}
	aq_scratch_keep(row, len);
	return aq_v_str(v, buf, len);
}

static bool path_part(const struct aq_fd *fd, bool last, struct aq_value *v)
{
	const char *slash;

	if (!fd->name || (fd->type != AQ_FD_FILE && fd->type != AQ_FD_DIRECTORY && fd->type != AQ_FD_DEVICE))
		return false;
	slash = memrchr(fd->name->s, '/', fd->name->len);
	if (!slash)
		return last && aq_v_str(v, fd->name->s, fd->name->len);
	if (last)
		return aq_v_str(v, slash + 1, fd->name->len - (size_t)(slash + 1 - fd->name->s));
	return slash == fd->name->s ? aq_v_text(v, "/") : aq_v_str(v, fd->name->s, (size_t)(slash - fd->name->s));
}

static bool l4proto(const struct aq_fd *fd, struct aq_value *v)
{
	if (!is_inet(fd))
		return false;
	switch (fd->proto) {
	case IPPROTO_TCP: return aq_v_text(v, "tcp");
	case IPPROTO_UDP: return aq_v_text(v, "udp");
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: return aq_v_text(v, "icmp");
	default: break;
	}
	if (fd->sock_type == SOCK_STREAM)
		return aq_v_text(v, "tcp");
	if (fd->sock_type == SOCK_DGRAM)
		return aq_v_text(v, "udp");
	return fd->sock_type == SOCK_RAW && aq_v_text(v, "raw");
}

static bool fs_path(enum aq_field_id id, struct aq_row *row, struct aq_value *v)
{
	size_t size, len = 0;
	bool certain, two;
	char *buf;

	if (!row->ev)
		return false;
	two = aq_event_attr(row->ev, AQ_ATTR_PATH2) != NULL;
	if (id != AQ_FIELD_FS_PATH_NAME && !two)
		return false;
	if (id == AQ_FIELD_FS_PATH_NAME && row->ev->id >= AQ_EVENT_ID_STATE && row->ev->id != AQ_EV_proc_exec)
		return false;
	buf = aq_scratch_room(row, 8192, &size);
	if (size)
		len = aq_state_path(row->ev, row->proc, id == AQ_FIELD_FS_PATH_TARGET, buf, size, &certain);
	if (len >= size)
		len = size ? size - 1 : 0;
	if (!len) /* calls on a descriptor are about its file */
		return id == AQ_FIELD_FS_PATH_NAME && row->fd && row->fd->name && !is_inet(row->fd) &&
		       (row->fd->type == AQ_FD_FILE || row->fd->type == AQ_FD_DIRECTORY) &&
		       aq_v_str(v, row->fd->name->s, row->fd->name->len);
	aq_scratch_keep(row, len + 1);
	return aq_v_str(v, buf, len);
}

static bool of_socket(enum aq_field_id id, const struct aq_fd *fd, unsigned index, struct aq_value *v)
{
	switch (id) {
	case AQ_FIELD_FD_IP:
		if (index == 0)
			return ip(v, fd->remote.family ? &fd->remote : &fd->local);
		return index == 1 && fd->remote.family && ip(v, &fd->local);
	case AQ_FIELD_FD_PORT:
		if (index == 0)
			return port(v, fd->remote.has_port ? &fd->remote : &fd->local);
		return index == 1 && fd->remote.has_port && port(v, &fd->local);
	case AQ_FIELD_FD_CIP: return ip(v, client(fd));
	case AQ_FIELD_FD_SIP: return ip(v, server(fd));
	case AQ_FIELD_FD_LIP: return ip(v, &fd->local);
	case AQ_FIELD_FD_RIP: return ip(v, &fd->remote);
	case AQ_FIELD_FD_CPORT: return port(v, client(fd));
	case AQ_FIELD_FD_SPORT: return port(v, server(fd));
	case AQ_FIELD_FD_LPORT: return port(v, &fd->local);
	case AQ_FIELD_FD_RPORT: return port(v, &fd->remote);
	case AQ_FIELD_FD_L4PROTO: return l4proto(fd, v);
	case AQ_FIELD_FD_SOCKFAMILY:
		return is_inet(fd) ? aq_v_text(v, "ip") : fd->type == AQ_FD_UNIX && aq_v_text(v, "unix");
	case AQ_FIELD_FD_IS_SERVER:
		return (fd->role_known || fd->is_server) && aq_v_bool(v, fd->is_server);
	default: return false;
	}
}

bool aq_field_get_fd(const struct aq_field *f, struct aq_row *row, unsigned index, struct aq_value *v)
{
	static const char chars[] = "?fd46unkpeltsirPmbo";
	enum aq_field_id id = f->info->id;
	const struct aq_fd *fd = row->fd;
	const char *c;

	if (id == AQ_FIELD_FD_NUM)
		return row->fd_num >= 0 && aq_v_int(v, row->fd_num);
	if (id >= AQ_FIELD_FS_PATH_NAME && id <= AQ_FIELD_FS_PATH_TARGET)
		return fs_path(id, row, v);
	if (!fd)
		return false;
	switch (id) {
	case AQ_FIELD_FD_TYPE: return fd->type != AQ_FD_UNKNOWN && aq_v_text(v, aq_fd_type_name(fd->type));
	case AQ_FIELD_FD_TYPECHAR:
		c = strchr(chars, aq_fd_type_char(fd->type));
		return fd->type != AQ_FD_UNKNOWN && c && aq_v_str(v, c, 1);
	case AQ_FIELD_FD_NAME: return fd_name(fd, row, v);
	case AQ_FIELD_FD_FILENAME: return path_part(fd, true, v);
	case AQ_FIELD_FD_DIRECTORY: return path_part(fd, false, v);
	case AQ_FIELD_FD_DEV:
		if (!fd->dev_known)
			return false;
		*v = (struct aq_value){ .kind = AQ_VAL_UINT, .style = AQ_STYLE_SCHEMA, .type = AQ_TYPE_DEV, .u = fd->dev };
		return true;
	case AQ_FIELD_FD_INO: return fd->dev_known && aq_v_uint(v, fd->ino);
	case AQ_FIELD_FD_CIP_NAME: case AQ_FIELD_FD_CIP_POD: case AQ_FIELD_FD_CIP_NS: case AQ_FIELD_FD_CIP_SERVICE:
		return aq_field_get_address(f, row, client(fd), v);
	case AQ_FIELD_FD_SIP_NAME: case AQ_FIELD_FD_SIP_POD: case AQ_FIELD_FD_SIP_NS: case AQ_FIELD_FD_SIP_SERVICE:
		return aq_field_get_address(f, row, server(fd), v);
	case AQ_FIELD_FD_LIP_NAME: case AQ_FIELD_FD_LIP_POD: case AQ_FIELD_FD_LIP_NS: case AQ_FIELD_FD_LIP_SERVICE:
		return aq_field_get_address(f, row, &fd->local, v);
	case AQ_FIELD_FD_RIP_NAME: case AQ_FIELD_FD_RIP_POD: case AQ_FIELD_FD_RIP_NS: case AQ_FIELD_FD_RIP_SERVICE:
		return aq_field_get_address(f, row, &fd->remote, v);
	case AQ_FIELD_FD_UNCERTAIN: return aq_v_bool(v, fd->uncertain || (row->proc && row->proc->flags & AQ_PROC_UNCERTAIN));
	default: return of_socket(id, fd, index, v);
	}
}

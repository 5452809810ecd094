"""What other systems call: platforms with webhooks, and mail systems with bounces and complaints."""
